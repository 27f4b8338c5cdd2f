-- tour.sql - what make demo shows in the terminal: a live view, and its changes through TAIL.
\set ON_ERROR_STOP on
\pset pager off
\pset footer off

\echo '-- chat_room is a materialized view that nobody refreshes:'
\echo 'chat=# SELECT channel, messages FROM chat_room ORDER BY channel;'
SELECT channel, messages FROM chat_room ORDER BY channel;

\echo '-- TAIL gives what is there, and then what changes:'
\echo 'chat=# BEGIN; DECLARE c CURSOR FOR TAIL (SELECT channel, messages FROM chat_room);'
\echo 'chat=# FETCH ALL c;'
BEGIN;
DECLARE c CURSOR FOR TAIL (SELECT channel, messages FROM chat_room);
FETCH ALL c;

\echo '-- now another session sends a message to cats:'
\echo 'chat=# SELECT post_message(''alice'', <cats>, ''meow'');'
\! psql -qXAt -v ON_ERROR_STOP=1 -c "SELECT post_message('alice', chat_id, 'meow') FROM chat WHERE chat_topic = 'cats'" > /dev/null
\echo
\echo 'chat=# FETCH ALL c;'
FETCH ALL c;
\echo '-- ... and takes it back:'
\! psql -qXAt -v ON_ERROR_STOP=1 -c "DELETE FROM chat_message WHERE chat_message_text = 'meow'"
\echo 'chat=# FETCH ALL c;'
FETCH ALL c;
COMMIT;
