SELECT r.rname, a.grp, count(*) AS n, sum(a.amt) AS s
FROM acc a JOIN br b USING (bid) JOIN reg r USING (region) GROUP BY r.rname, a.grp
