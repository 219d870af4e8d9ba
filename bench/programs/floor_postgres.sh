#!/usr/bin/env bash
# What PostgreSQL's own client does: $1 is out, in or upsert; $2 the connection URL; $3 a CSV file.
set -euo pipefail
case $1 in
  out) psql -q "$2" -c "\\copy li to '/dev/null' (format binary)" ;;
  in) psql -q "$2" -c "\\copy target from '$3' (format csv, header)" ;;
  upsert)
    psql -q "$2" <<SQL
begin;
create unlogged table staging (like target);
\copy staging from '$3' (format csv, header)
delete from target using staging where target.l_key = staging.l_key;
insert into target select * from staging;
commit;
drop table staging;
SQL
    ;;
esac
