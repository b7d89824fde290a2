-- The first schema, as the server that made it wrote it.

CREATE TABLE facts (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE workspaces (
  id INTEGER NOT NULL,
  slug TEXT NOT NULL,
  name TEXT NOT NULL,
  created_unix_ns BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (slug)
);

CREATE TABLE points (
  series INTEGER NOT NULL,
  step BIGINT NOT NULL,
  instance INTEGER NOT NULL,
  time_unix_ns BIGINT NOT NULL,
  value FLOAT NOT NULL,
  accepted BIGINT NOT NULL,
  PRIMARY KEY (series, step, instance, time_unix_ns)
)
 WITHOUT ROWID;

CREATE TABLE lines (
  id INTEGER NOT NULL,
  run INTEGER NOT NULL,
  instance INTEGER NOT NULL,
  seq BIGINT NOT NULL,
  time_unix_ns BIGINT NOT NULL,
  severity INTEGER NOT NULL,
  body TEXT NOT NULL,
  attributes TEXT NOT NULL,
  step BIGINT,
  trace_id BLOB,
  span_id BLOB,
  is_truncated BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (instance, seq)
);

CREATE INDEX lines_by_time ON lines (run, time_unix_ns, id);

CREATE TABLE events (
  id INTEGER NOT NULL,
  instance INTEGER NOT NULL,
  seq BIGINT NOT NULL,
  time_unix_ns BIGINT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (instance, seq)
);

CREATE TABLE spans (
  id INTEGER NOT NULL,
  run INTEGER NOT NULL,
  trace_id BLOB NOT NULL,
  span_id BLOB NOT NULL,
  instance INTEGER NOT NULL,
  parent_span_id BLOB,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  start_unix_ns BIGINT NOT NULL,
  end_unix_ns BIGINT,
  status TEXT NOT NULL,
  status_message TEXT NOT NULL,
  state INTEGER NOT NULL,
  attributes TEXT NOT NULL,
  events TEXT NOT NULL,
  links TEXT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (run, trace_id, span_id)
);

CREATE INDEX spans_by_start ON spans (run, start_unix_ns, id);

CREATE TABLE projects (
  id INTEGER NOT NULL,
  public_id TEXT NOT NULL,
  workspace_id INTEGER NOT NULL,
  slug TEXT NOT NULL,
  name TEXT NOT NULL,
  created_unix_ns BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (workspace_id, slug),
  UNIQUE (public_id),
  FOREIGN KEY(workspace_id) REFERENCES workspaces (id)
);

CREATE TABLE api_keys (
  id TEXT NOT NULL,
  secret_sha256 TEXT NOT NULL,
  label TEXT NOT NULL,
  scopes TEXT NOT NULL,
  home_workspace_id INTEGER NOT NULL,
  workspace_id INTEGER,
  project_id INTEGER,
  created_unix_ns BIGINT NOT NULL,
  expires_unix_ns BIGINT,
  revoked_unix_ns BIGINT,
  PRIMARY KEY (id),
  FOREIGN KEY(home_workspace_id) REFERENCES workspaces (id),
  FOREIGN KEY(workspace_id) REFERENCES workspaces (id),
  FOREIGN KEY(project_id) REFERENCES projects (id)
);

CREATE TABLE runs (
  id INTEGER NOT NULL,
  project_id INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  is_foreign BOOLEAN NOT NULL,
  life TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_unix_ns BIGINT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  started_unix_ns BIGINT NOT NULL,
  updated_unix_ns BIGINT NOT NULL,
  alive_unix_ns BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (project_id, run_id),
  FOREIGN KEY(project_id) REFERENCES projects (id)
);

CREATE INDEX runs_by_update ON runs (project_id, updated_unix_ns);

CREATE INDEX runs_by_start ON runs (project_id, started_unix_ns);

CREATE INDEX runs_by_id ON runs (run_id);

CREATE TABLE instances (
  id INTEGER NOT NULL,
  run INTEGER NOT NULL,
  instance TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  rank INTEGER,
  host TEXT NOT NULL,
  ledger TEXT NOT NULL,
  points BIGINT NOT NULL,
  lines BIGINT NOT NULL,
  spans BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (run, instance),
  FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE TABLE series (
  id INTEGER NOT NULL,
  run INTEGER NOT NULL,
  name TEXT NOT NULL,
  digest BLOB NOT NULL,
  attributes TEXT NOT NULL,
  unit TEXT NOT NULL,
  count BIGINT NOT NULL,
  min_value FLOAT,
  max_value FLOAT,
  last_attempt INTEGER NOT NULL,
  last_step BIGINT NOT NULL,
  last_value FLOAT,
  last_unix_ns BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (run, name, digest),
  FOREIGN KEY(run) REFERENCES runs (id)
);

INSERT INTO facts VALUES ('schema', '1');
