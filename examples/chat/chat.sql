-- chat.sql - a chat whose members see messages, pictures and room counters live.
--
-- Load it into an empty database in which the extension exists. The tables are an application's own;
-- tailwater's part is the two live views and nothing else. What the page may do stands at the end:
-- read the two views (role chat_anon), and write through three functions (role chat_writer).

\set ON_ERROR_STOP on
CREATE TABLE chat_user (
  user_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_login    varchar(255) NOT NULL UNIQUE,
  user_password char(64)     NOT NULL,
  user_email    varchar(400));
CREATE TABLE chat (
  chat_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  chat_topic    varchar(32) NOT NULL UNIQUE,
  chat_password char(64));
CREATE TABLE user_chat (
  user_chat_chat_id uuid REFERENCES chat ON DELETE CASCADE,
  user_chat_user_id uuid REFERENCES chat_user ON DELETE CASCADE,
  PRIMARY KEY (user_chat_chat_id, user_chat_user_id));
CREATE TABLE chat_message (
  chat_message_id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  chat_message_datetime  timestamptz NOT NULL DEFAULT now(),
  chat_message_text      text NOT NULL,
  chat_message_chat_id   uuid NOT NULL REFERENCES chat ON DELETE CASCADE,
  chat_message_user_id   uuid NOT NULL REFERENCES chat_user ON DELETE CASCADE,
  chat_message_image_key varchar);
CREATE TABLE bucketevents (key varchar PRIMARY KEY, value jsonb);      -- MinIO 'namespace' target, verbatim shape
CREATE TABLE bucketlog (event_time timestamptz NOT NULL, event_data jsonb); -- MinIO 'access' target, verbatim shape
CREATE TABLE media (                                                   -- filled by the transcoder client
  media_key varchar, media_kind text, media_mime text, media_width int, media_height int, media_bytes bytea,
  PRIMARY KEY (media_key, media_kind));

CREATE MATERIALIZED VIEW chat_feed WITH (tailwater.maintain = immediate) AS
SELECT m.chat_message_id AS message_id, c.chat_id, c.chat_topic AS channel, u.user_login AS sender,
       m.chat_message_text AS message, m.chat_message_datetime AS sent_at,
       m.chat_message_image_key AS image, (b.key IS NOT NULL) AS image_ready,
       t.media_width AS thumb_w, t.media_height AS thumb_h
FROM chat_message m
JOIN chat c      ON c.chat_id = m.chat_message_chat_id
JOIN chat_user u ON u.user_id = m.chat_message_user_id
LEFT JOIN bucketevents b ON b.key = m.chat_message_image_key
LEFT JOIN media t ON t.media_key = m.chat_message_image_key AND t.media_kind = 'thumb';

CREATE MATERIALIZED VIEW chat_room WITH (tailwater.maintain = immediate) AS
SELECT c.chat_id, c.chat_topic AS channel, count(m.chat_message_id) AS messages,
       max(m.chat_message_datetime) AS last_at
FROM chat c LEFT JOIN chat_message m ON m.chat_message_chat_id = c.chat_id
GROUP BY c.chat_id, c.chat_topic;

INSERT INTO chat_user(user_id,user_login,user_password) VALUES
 ('00000000-0000-0000-0000-00000000000a','alice',repeat('a',64)),
 ('00000000-0000-0000-0000-00000000000b','bob',repeat('b',64)),
 ('00000000-0000-0000-0000-00000000000e','eve',repeat('e',64));
INSERT INTO chat VALUES ('00000000-0000-0000-0000-0000000000c1','cats',NULL),('00000000-0000-0000-0000-0000000000c2','dogs',NULL);
INSERT INTO user_chat VALUES ('00000000-0000-0000-0000-0000000000c1','00000000-0000-0000-0000-00000000000a'),('00000000-0000-0000-0000-0000000000c1','00000000-0000-0000-0000-00000000000b'),('00000000-0000-0000-0000-0000000000c2','00000000-0000-0000-0000-00000000000e');
INSERT INTO chat_message VALUES
 ('00000000-0000-0000-0000-000000000001','2024-01-01 10:00+00','hi','00000000-0000-0000-0000-0000000000c1','00000000-0000-0000-0000-00000000000a',NULL),
 ('00000000-0000-0000-0000-000000000002','2024-01-01 10:01+00','hello','00000000-0000-0000-0000-0000000000c1','00000000-0000-0000-0000-00000000000b',NULL),
 ('00000000-0000-0000-0000-000000000003','2024-01-01 10:02+00','woof','00000000-0000-0000-0000-0000000000c2','00000000-0000-0000-0000-00000000000e',NULL);

-- ---- rights ----

-- Roles belong to the whole server and may be there already.
SELECT format('CREATE ROLE %I %s', name, attribute)
FROM (VALUES ('chat_anon', 'NOLOGIN'), ('chat_writer', 'LOGIN')) AS role (name, attribute)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) \gexec

-- What a browser without a token may see. Never chat_user: it holds passwords.
GRANT SELECT ON chat_feed, chat_room TO chat_anon;

-- What server.mjs may do: these functions, which check whose message it is. They stand in for an
-- application's server; a real one would know its users by more than a name in a form.
CREATE FUNCTION post_message(login text, room uuid, message text, image text DEFAULT NULL) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	INSERT INTO public.chat_message
		(chat_message_text, chat_message_chat_id, chat_message_user_id, chat_message_image_key)
	SELECT post_message.message, room, u.user_id, image
	FROM public.chat_user u WHERE u.user_login = login
	RETURNING chat_message_id;
END;
COMMENT ON FUNCTION post_message IS
	'Sends a message; gives its id, or null where there is no such user.';

CREATE FUNCTION edit_message(login text, id uuid, message text) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	UPDATE public.chat_message SET chat_message_text = edit_message.message
	FROM public.chat_user u
	WHERE chat_message_id = id AND chat_message_user_id = u.user_id AND u.user_login = login
	RETURNING chat_message_id;
END;
COMMENT ON FUNCTION edit_message IS
	'Changes one of the user''s own messages; gives its id, or null where it is not theirs.';

CREATE FUNCTION delete_message(login text, id uuid) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	DELETE FROM public.chat_message USING public.chat_user u
	WHERE chat_message_id = id AND chat_message_user_id = u.user_id AND u.user_login = login
	RETURNING chat_message_id;
END;
COMMENT ON FUNCTION delete_message IS
	'Removes one of the user''s own messages; gives its id, or null where it is not theirs.';

-- The object store's part and the transcoder's: in earnest, MinIO writes bucketevents itself.
CREATE FUNCTION picture_stored(image text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	INSERT INTO public.bucketevents VALUES (image, jsonb_build_object('EventName', 's3:ObjectCreated:Put'))
	ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;
END;
COMMENT ON FUNCTION picture_stored IS 'Notes that the object store holds this picture.';

CREATE FUNCTION thumbnail_made(image text, width int, height int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	INSERT INTO public.media (media_key, media_kind, media_mime, media_width, media_height)
	VALUES (image, 'thumb', 'image/jpeg', width, height)
	ON CONFLICT (media_key, media_kind) DO UPDATE SET media_width = width, media_height = height;
END;
COMMENT ON FUNCTION thumbnail_made IS 'Notes that a thumbnail of this size exists.';

REVOKE ALL ON FUNCTION post_message, edit_message, delete_message, picture_stored, thumbnail_made FROM PUBLIC;
GRANT EXECUTE ON FUNCTION post_message, edit_message, delete_message, picture_stored, thumbnail_made
	TO chat_writer;
