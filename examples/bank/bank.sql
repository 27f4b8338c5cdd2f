-- bank.sql - accounts, the sum of each branch, and the sum of all: whoever looks sees them agree.
-- The deferred view costs writers nothing; it comes a little later, and it, too, never shows half a transfer.

CREATE TABLE account (id int PRIMARY KEY, branch int NOT NULL, balance bigint NOT NULL);
INSERT INTO account SELECT id, id % 5, 1000 FROM generate_series(1, 100) id;

CREATE MATERIALIZED VIEW by_branch WITH (tailwater.maintain = immediate) AS
SELECT branch, count(*) AS accounts, sum(balance) AS balance FROM account GROUP BY branch;

CREATE MATERIALIZED VIEW total WITH (tailwater.maintain = immediate) AS
SELECT count(*) AS accounts, sum(balance) AS balance FROM account;

-- wal_level = logical; without it, leave this one out
CREATE MATERIALIZED VIEW by_balance WITH (tailwater.maintain = deferred) AS
SELECT balance, count(*) AS accounts FROM account GROUP BY balance;

-- Moves money. Accounts are locked in order of their number, so that transfers do not deadlock.
CREATE FUNCTION transfer(payer int, payee int, amount bigint) RETURNS void LANGUAGE sql AS $$
	SELECT FROM account WHERE id IN (payer, payee) ORDER BY id FOR UPDATE;
	UPDATE account SET balance = balance + CASE id WHEN payer THEN -amount ELSE amount END
	WHERE id IN (payer, payee) AND payer <> payee;
$$;
