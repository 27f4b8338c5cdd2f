-- followeds.sql - users, whom they follow, and their places: a nested document as one live row.

CREATE TABLE users (id integer PRIMARY KEY, name varchar NOT NULL);
INSERT INTO users VALUES (0,'Fred'),(1,'Omar'),(2,'Jean'),(4,'Roland');
CREATE TABLE users_followeds (user_id integer NOT NULL, followed_id integer NOT NULL, PRIMARY KEY (user_id, followed_id));
INSERT INTO users_followeds VALUES (0,1),(1,2),(1,0),(1,1),(2,1);
CREATE TABLE places (id integer PRIMARY KEY, name varchar NOT NULL);
INSERT INTO places VALUES (0,'Looloo Kitchen'),(1,'La Cuisinerie'),(2,'Cosinar Juntos'),(3,'Pachamama'),(4,'Philoo'),(5,'Duropam');
CREATE TABLE users_places (user_id integer NOT NULL, place_id integer NOT NULL, PRIMARY KEY (user_id, place_id));
INSERT INTO users_places VALUES (0,1),(1,2),(1,3),(2,4),(0,5),(4,5),(1,5);
CREATE MATERIALIZED VIEW followeds_doc WITH (tailwater.maintain = immediate) AS
SELECT u.id AS id,
  jsonb_build_object('id',u.id,'name',u.name,'followeds',
   coalesce((SELECT jsonb_agg(jsonb_build_object('id',f.id,'name',f.name,'places',
        coalesce((SELECT jsonb_agg(jsonb_build_object('id',p.id,'name',p.name) ORDER BY p.id)
                  FROM users_places up JOIN places p ON p.id=up.place_id WHERE up.user_id=f.id),'[]'::jsonb)) ORDER BY f.id)
     FROM users_followeds uf JOIN users f ON f.id=uf.followed_id WHERE uf.user_id=u.id),'[]'::jsonb)) AS doc
FROM users u;
