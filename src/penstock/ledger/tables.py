"""The ledger's tables and every statement over them, for all databases: values are named ``:so``, and the words in braces
of a step are types that each database calls its own way.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = """
create table pipelines (
  project text not null, environment text not null, pipeline text not null,
  incarnation text not null,
  fence {integer} not null,
  holder text,
  expires_at {time} not null,
  replacing {integer} not null,              -- until the incarnation's first seal
  primary key (project, environment, pipeline)
);
create table runs (
  run_id text primary key,
  project text not null, environment text not null, pipeline text not null,
  status text not null,
  started_at {time} not null,
  ended_at {time},
  engine text not null, guarantee text not null, plan_hash text not null,
  summary {structure} not null
);
create table epochs (                      -- one row per attempt; receipts and balance are there once it is sealed
  project text not null, environment text not null, pipeline text not null, incarnation text not null,
  number {integer} not null,
  attempt text not null,
  fence {integer} not null,
  run_id text not null,
  plan_hash text not null,
  ranges {structure} not null,
  planned_at {time} not null,
  sinks {structure} not null,
  status text not null,
  sealed_at {time},
  prepared {structure},
  receipts {structure},
  balance {structure},
  primary key (project, environment, pipeline, incarnation, number, attempt)
);
create index epochs_by_run on epochs (run_id);
create table positions (
  project text not null, environment text not null, pipeline text not null, incarnation text not null,
  source text not null, partition text not null,
  position {structure} not null,
  primary key (project, environment, pipeline, incarnation, source, partition)
);
create table sinks (
  project text not null, environment text not null, pipeline text not null, incarnation text not null,
  sink text not null,
  number {integer} not null,
  primary key (project, environment, pipeline, incarnation, sink)
);
create table schemas (
  project text not null, environment text not null, pipeline text not null,
  source text not null,
  columns {structure} not null,
  primary key (project, environment, pipeline, source)
);
create table rejects (
  id {identity} primary key,
  project text not null, environment text not null, pipeline text not null, incarnation text not null,
  run_id text not null,
  epoch {integer} not null,
  attempt text not null,
  status text not null,
  node text not null,
  path text not null,
  rows {integer} not null,
  checksum text not null,
  groups {structure} not null,
  labels {structure} not null,
  at {time} not null
);
create index rejects_by_run on rejects (run_id);
"""

_OUTCOMES: Final = """
alter table rejects add column places {structure};
alter table rejects add column left_rows {integer};
alter table rejects add column left_groups {structure};
create table reject_outcomes (             -- what was done with one group of a file's rows
  id {identity} primary key,
  project text not null, environment text not null, pipeline text not null,
  path text not null,
  code text not null,
  named text,
  outcome text not null,
  rows {integer} not null,
  left_rows {integer} not null,
  left_groups {structure} not null,
  done_by text not null,
  epoch {integer},
  reason text,
  at {time} not null
);
"""

_STOPS: Final = """
create table stops (                       -- by the lease whose run is to stop
  project text not null, environment text not null, pipeline text not null,
  fence {integer} not null,
  asked_by text not null,
  asked_at {time} not null,
  grace_ms {integer},
  heard {integer} not null,
  primary key (project, environment, pipeline, fence)
);
"""

# What each seal asks takes as long after a million epochs as after one.
_REJECTS_FOUND: Final = """
create index rejects_by_node on rejects (project, environment, pipeline, node, epoch);
create index rejects_by_path on rejects (project, environment, pipeline, path);
create index rejects_kept on rejects (project, environment, pipeline, incarnation, node, epoch) where status = 'kept';
create index rejects_open on rejects (project, environment, pipeline, incarnation, node)
  where status = 'kept' and coalesce(left_rows, rows) > 0;
"""

# What makes a ledger of each version out of one of the version before; of version 0 there is nothing yet. A step that was
# released is never changed: the next one mends it.
STEPS: Final = (_FIRST, _OUTCOMES, _STOPS, _REJECTS_FOUND)
VERSION: Final = len(STEPS)

TIMES: Final = frozenset({"expires_at", "started_at", "ended_at", "planned_at", "sealed_at", "at", "asked_at"})
STRUCTURES: Final = frozenset(
    {
        "summary",
        "ranges",
        "sinks",
        "prepared",
        "receipts",
        "balance",
        "position",
        "columns",
        "groups",
        "labels",
        "places",
        "left_groups",
    }
)

_KEY: Final = "project = :project and environment = :environment and pipeline = :pipeline"
_HISTORY: Final = _KEY + " and incarnation = :incarnation"
_ATTEMPT: Final = _HISTORY + " and number = :number and attempt = :attempt"

PIPELINE: Final = "select * from pipelines where " + _KEY
PIPELINES: Final = "select project, environment, pipeline from pipelines"
ENSURE_PIPELINE: Final = """
insert into pipelines (project, environment, pipeline, incarnation, fence, expires_at, replacing)
values (:project, :environment, :pipeline, :incarnation, 0, :expires_at, 0)
on conflict do nothing
"""
HOLD: Final = "update pipelines set fence = :fence, holder = :holder, expires_at = :expires_at where " + _KEY
RELEASE: Final = "update pipelines set holder = null where fence = :fence and " + _KEY
REINCARNATE: Final = "update pipelines set incarnation = :incarnation, replacing = 1 where " + _KEY
REPLACED: Final = "update pipelines set replacing = 0 where " + _KEY

HELD: Final = """
select pipelines.*, asked_by, asked_at, grace_ms, heard
from pipelines left join stops using (project, environment, pipeline, fence)
where holder is not null order by project, environment, pipeline
"""
PUT_STOP: Final = """
insert into stops (project, environment, pipeline, fence, asked_by, asked_at, grace_ms, heard)
values (:project, :environment, :pipeline, :fence, :asked_by, :asked_at, :grace_ms, :heard)
on conflict (project, environment, pipeline, fence) do update set
  asked_by = excluded.asked_by, asked_at = excluded.asked_at, grace_ms = excluded.grace_ms, heard = excluded.heard
"""
STOP: Final = "select * from stops where fence = :fence and " + _KEY

PUT_RUN: Final = """
insert into runs (run_id, project, environment, pipeline, status, started_at, ended_at, engine, guarantee, plan_hash,
                  summary)
values (:run_id, :project, :environment, :pipeline, :status, :started_at, :ended_at, :engine, :guarantee, :plan_hash,
        :summary)
on conflict (run_id) do update set
  status = excluded.status, started_at = excluded.started_at, ended_at = excluded.ended_at, engine = excluded.engine,
  guarantee = excluded.guarantee, plan_hash = excluded.plan_hash, summary = excluded.summary
"""
CLOSE_RUNS: Final = (
    "update runs set status = 'interrupted', ended_at = :ended_at where status = 'running' and run_id <> :run_id and "
    + _KEY
)
RUNS: Final = "select * from runs order by started_at desc, run_id desc limit :limit"
RUNS_OF: Final = "select * from runs where " + _KEY + " order by started_at desc, run_id desc limit :limit"
RUNS_BEGINNING: Final = (
    "select * from runs where substr(run_id, 1, length(:beginning)) = :beginning "
    "order by started_at desc, run_id desc limit :limit"
)

PUT_EPOCH: Final = """
insert into epochs (project, environment, pipeline, incarnation, number, attempt, fence, run_id, plan_hash, ranges,
                    planned_at, sinks, status, sealed_at)
values (:project, :environment, :pipeline, :incarnation, :number, :attempt, :fence, :run_id, :plan_hash, :ranges,
        :planned_at, :sinks, :status, :sealed_at)
on conflict (project, environment, pipeline, incarnation, number, attempt) do update set
  fence = excluded.fence, run_id = excluded.run_id, plan_hash = excluded.plan_hash, ranges = excluded.ranges,
  planned_at = excluded.planned_at, sinks = excluded.sinks, status = excluded.status, sealed_at = excluded.sealed_at,
  prepared = null, receipts = null, balance = null
"""
SEAL_EPOCH: Final = (
    "update epochs set status = :status, sealed_at = :sealed_at, receipts = :receipts, balance = :balance where "
    + _ATTEMPT
)
PREPARE_EPOCH: Final = "update epochs set prepared = :prepared where " + _ATTEMPT
SET_STATUS: Final = "update epochs set status = :status where " + _ATTEMPT
PREPARED: Final = "select prepared from epochs where " + _ATTEMPT
LAST_EPOCH: Final = "select * from epochs where status <> 'abandoned' and " + _HISTORY + " order by number desc limit 1"
LAST_ATTEMPT: Final = (
    "select number, attempt, status from epochs where status <> 'abandoned' and "
    + _HISTORY
    + " order by number desc limit 1"
)
LAST_SEALED: Final = (
    "select epochs.* from epochs join pipelines using (project, environment, pipeline, incarnation) where "
    "status = 'sealed' and " + _KEY + " order by number desc limit 1"
)
SEALED_SINCE: Final = (
    "select * from epochs where status = 'sealed' and number >= :since and " + _HISTORY + " order by number"
)
_NEWEST_OF_ALL: Final = _KEY + " order by sealed_at desc, number desc limit :limit"
HISTORY: Final = "select * from epochs where status = 'sealed' and " + _NEWEST_OF_ALL
HISTORY_OF_WEEKDAY: Final = (
    "select * from epochs where status = 'sealed' and {weekday} = :weekday and " + _NEWEST_OF_ALL
)
EPOCHS_OF_RUN: Final = "select * from epochs where run_id = :run_id order by number"

PUT_POSITION: Final = """
insert into positions (project, environment, pipeline, incarnation, source, partition, position)
values (:project, :environment, :pipeline, :incarnation, :source, :partition, :position)
on conflict (project, environment, pipeline, incarnation, source, partition) do update set position = excluded.position
"""
POSITIONS: Final = "select * from positions where " + _HISTORY
PUT_SINK: Final = """
insert into sinks (project, environment, pipeline, incarnation, sink, number)
values (:project, :environment, :pipeline, :incarnation, :sink, :number)
on conflict (project, environment, pipeline, incarnation, sink) do update set number = excluded.number
"""
SINKS: Final = "select * from sinks where " + _HISTORY
PUT_SCHEMA: Final = """
insert into schemas (project, environment, pipeline, source, columns)
values (:project, :environment, :pipeline, :source, :columns)
on conflict (project, environment, pipeline, source) do update set columns = excluded.columns
"""
SCHEMAS: Final = "select * from schemas where " + _KEY

ADD_REJECT: Final = """
insert into rejects (project, environment, pipeline, incarnation, run_id, epoch, attempt, status, node, path, rows,
                     checksum, groups, labels, places, at)
values (:project, :environment, :pipeline, :incarnation, :run_id, :epoch, :attempt, :status, :node, :path, :rows,
        :checksum, :groups, :labels, :places, :at)
"""
LEFT_REJECTS: Final = (
    "update rejects set left_rows = :left_rows, left_groups = :left_groups where path = :path and " + _KEY
)
_SUPERSEDE: Final = "update rejects set status = 'superseded' where status = 'kept' and "
SUPERSEDE_NODE: Final = _SUPERSEDE + "node = :node and epoch < :number and " + _HISTORY
SUPERSEDE_OTHERS: Final = (  # histories: of <> no index is used
    _SUPERSEDE + "incarnation < :incarnation and " + _KEY,
    _SUPERSEDE + "incarnation > :incarnation and " + _KEY,
)
ADD_OUTCOME: Final = """
insert into reject_outcomes (project, environment, pipeline, path, code, named, outcome, rows, left_rows, left_groups,
                             done_by, epoch, reason, at)
values (:project, :environment, :pipeline, :path, :code, :named, :outcome, :rows, :left_rows, :left_groups,
        :done_by, :epoch, :reason, :at)
"""
OUTCOMES: Final = "select * from reject_outcomes where " + _KEY + " order by id"
_NEWEST: Final = " order by at desc, id desc"
REJECTS: Final = "select * from rejects" + _NEWEST
REJECTS_OF: Final = "select * from rejects where " + _KEY + _NEWEST
REJECTS_OF_RUN: Final = "select * from rejects where run_id = :run_id" + _NEWEST
RUN_OF_REJECTS: Final = "select run_id from rejects where path = :path and " + _KEY + " order by at, id limit 1"
_OPEN: Final = "status = 'kept' and coalesce(left_rows, rows) > 0 and " + _HISTORY
# From one node to the next by an index, however many files each of them has.
NODES_OF_OPEN_REJECTS: Final = (
    "with recursive found (node) as (select min(node) from rejects where "
    + _OPEN
    + " union all select (select min(node) from rejects where node > found.node and "
    + _OPEN
    + ") from found where found.node is not null) select node from found where node is not null"
)
NEWEST_REJECTS: Final = (
    "with recursive found (node) as (select min(node) from rejects where "
    + _KEY
    + " union all select (select min(node) from rejects where node > found.node and "
    + _KEY
    + ") from found where found.node is not null) "
    "select node, (select max(epoch) from rejects where rejects.node = found.node and " + _KEY + ") as epoch "
    "from found where node is not null"
)
