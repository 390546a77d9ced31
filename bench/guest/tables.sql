-- SPDX-License-Identifier: GPL-2.0-or-later
-- AMOUNT rows: written, indexed, joined, changed, sorted.
create table person (id integer primary key, name text, town integer, born integer);
create table town (id integer primary key, name text);
begin;
insert into town
  with recursive n(i) as (select 1 union all select i + 1 from n where i < 200)
  select i, 'town ' || (i * 7919 % 1000) from n;
insert into person
  with recursive n(i) as (select 1 union all select i + 1 from n where i < AMOUNT)
  select i, 'person ' || (i * 2654435761 % 1000003), i * 31 % 200 + 1, 1900 + i * 17 % 120 from n;
commit;
create index person_town on person (town, born);
select town.name, count(*), min(person.name), avg(born) from person join town on town.id = person.town
  group by town.id order by 2 desc, 1 limit 20;
update person set name = upper(substr(name, 1, 1)) || substr(name, 2) where born % 3 = 0;
select count(*), sum(length(name)) from person where name like 'P%1%';
select name, born from person order by name desc, born limit 20;
delete from person where town in (select id from town where name like '%3%');
select count(*), max(id) from person;
