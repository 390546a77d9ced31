-- SPDX-License-Identifier: GPL-2.0-or-later
CREATE TABLE parts(id INTEGER PRIMARY KEY, name TEXT, weight REAL, colour TEXT);
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO parts SELECT i, printf('part %05d', i * 7919 % 20011), i * 37 % 1009 / 7.0, substr('redblueteal', i % 9, 4) FROM n;
CREATE INDEX by_weight ON parts(weight, name);
CREATE TABLE orders(part INTEGER REFERENCES parts, amount INTEGER, day TEXT);
INSERT INTO orders SELECT id * 31 % 20000 + 1, id % 17, date('2020-01-01', (id % 900) || ' days') FROM parts;
SELECT colour, count(*), printf('%.10g', avg(weight)), min(name), max(name) FROM parts GROUP BY colour ORDER BY colour;
SELECT substr(day, 1, 7) AS month, sum(amount), printf('%.12g', sum(amount * weight)) FROM orders JOIN parts ON part = id
  GROUP BY month ORDER BY month;
SELECT name, weight, rank() OVER (PARTITION BY colour ORDER BY weight DESC, name) AS place FROM parts WHERE id % 1999 = 3 ORDER BY name;
SELECT count(*) FROM parts WHERE name LIKE '%99%' OR name GLOB '*1?3*';
SELECT json_group_array(json_object('name', name, 'weight', weight)) FROM (SELECT * FROM parts WHERE weight > 143.9 ORDER BY name LIMIT 20);
SELECT key, value, type FROM json_each('{"a":[1,2.5e-3,"\u00e4"],"b":null,"c":{"d":1e300}}') ORDER BY key;
SELECT 9223372036854775807 + 0, -9223372036854775808 / -3, 7 % -3, 1e308 * 10, 2.0 / 3, 0.1 + 0.2, round(2.675, 2), hex(zeroblob(3));
UPDATE parts SET weight = weight * 1.0000001 WHERE colour = 'blue';
DELETE FROM orders WHERE part IN (SELECT id FROM parts WHERE weight < 20 ORDER BY weight LIMIT 3000);
SELECT count(*), sum(amount) FROM orders;
SELECT printf('%.15g', total(weight)), group_concat(DISTINCT colour) FROM (SELECT * FROM parts ORDER BY colour);
PRAGMA integrity_check;
