"""Every attribute and event name that Rundial writes, each with where it comes from.

Names that leave the process are API: a rename breaks stored data. Names without a note are
OpenTelemetry's own (semantic conventions 1.4x, "Resource" and "General attributes"); names under
`rundial.` are ours, and user keys never enter that namespace.
"""

from __future__ import annotations

SERVICE_NAME = "service.name"
SERVICE_INSTANCE_ID = "service.instance.id"
HOST_NAME = "host.name"
PROCESS_PID = "process.pid"
SDK_NAME = "telemetry.sdk.name"
SDK_LANGUAGE = "telemetry.sdk.language"
SDK_VERSION = "telemetry.sdk.version"
DISTRO_NAME = "telemetry.distro.name"
DISTRO_VERSION = "telemetry.distro.version"
LOG_IOSTREAM = "log.iostream"
# "General log attributes", "Source code attributes" and "Exceptions in logs".
CODE_FILE_PATH = "code.file.path"
CODE_LINE_NUMBER = "code.line.number"
CODE_FUNCTION_NAME = "code.function.name"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
CODE_STACKTRACE = "code.stacktrace"
THREAD_NAME = "thread.name"

# Resource attributes of a run.
WORKSPACE = "rundial.workspace"
PROJECT = "rundial.project"
RUN_ID = "rundial.run.id"
RUN_KIND = "rundial.run.kind"
RUN_ATTEMPT = "rundial.run.attempt"
RANK = "rundial.rank"

# Record attributes.
STEP = "rundial.step"
SEQ = "rundial.seq"
TRUNCATED = "rundial.truncated"
ORIGINAL_BYTES = "rundial.original_bytes"
INTERRUPTED = "rundial.interrupted"
# OTel has no such kind: a tool call is an internal span that says so.
SPAN_KIND = "rundial.span.kind"
# A generator's consumer left it half way.
CLOSED_EARLY = "rundial.closed_early"
# The same for all states of a console line that was rewritten; the last of them is the line.
LINE = "rundial.line"
# The key of a text that a program logs as a value, like a metric.
TEXT_KEY = "rundial.text.key"
# The stdlib logger's name; OTel's own place for it, the scope, is one for a whole request.
LOGGER_NAME = "rundial.logger.name"
# Attributes that limits have cost a line; in OTLP the record's `dropped_attributes_count`.
DROPPED_ATTRIBUTES = "rundial.dropped_attributes"

# Attributes of a span in which an example is evaluated.
EVAL_RUN = "rundial.eval.run"
EVAL_EXAMPLE = "rundial.eval.example"

# Event names (log records with `event_name`; OpenTelemetry logs data model, "Events").
EVENT_RUN_START = "rundial.run.start"
EVENT_RUN_ENVIRONMENT = "rundial.run.environment"
EVENT_RUN_CONFIG = "rundial.run.config"
EVENT_RUN_SUMMARY = "rundial.run.summary"
EVENT_RUN_METRIC = "rundial.run.metric"
EVENT_RUN_ALERT = "rundial.run.alert"
EVENT_RUN_PREEMPTING = "rundial.run.preempting"
# Folded like the others; the server alone makes it, when somebody asks for it.
EVENT_RUN_STOP = "rundial.run.stop"
EVENT_RUN_HEARTBEAT = "rundial.run.heartbeat"
EVENT_RUN_LEDGER = "rundial.run.ledger"
EVENT_RUN_FINISH = "rundial.run.finish"
# What a run keeps beside its records; `media` has a row of a run's pictures and tables.
EVENT_MEDIA = "rundial.media"
EVENT_ARTIFACT_USED = "rundial.artifact.used"
EVENT_SPAN_START = "rundial.span.start"

# An evaluation: what is evaluated against what, and what each example of it came to.
EVENT_EVAL_START = "rundial.eval.start"
EVENT_EVAL_RESULT = "rundial.eval.result"

# Beside the attribute of a span whose value is kept as a file; the first part is the attribute's own name.
EVIDENCE_SHA256 = ".rundial.evidence.sha256"
EVIDENCE_PATH = ".rundial.evidence.path"
EVIDENCE_CONTENT_TYPE = ".rundial.evidence.content_type"

# "Semantic conventions for generative AI", 1.4x (development): spans of agents, models and tools.
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_CONVERSATION = "gen_ai.conversation.id"
GEN_AI_AGENT_NAME = "gen_ai.agent.name"
GEN_AI_AGENT_ID = "gen_ai.agent.id"
GEN_AI_AGENT_DESCRIPTION = "gen_ai.agent.description"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_TYPE = "gen_ai.tool.type"
GEN_AI_TOOL_DESCRIPTION = "gen_ai.tool.description"
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"
GEN_AI_TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_RESULT = "gen_ai.tool.call.result"
GEN_AI_TOOL_DEFINITIONS = "gen_ai.tool.definitions"
GEN_AI_REQUEST = "gen_ai.request."
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_SYSTEM = "gen_ai.system_instructions"
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
# What a foreign instrumentation calls itself; a request of ours has one scope ("Mapping to formats without
# scopes").
OTEL_SCOPE_NAME = "otel.scope.name"
OTEL_SCOPE_VERSION = "otel.scope.version"
# Of a log record that is an event; in OTLP the record's own `event_name`.
EVENT_NAME = "event.name"
# "Recording errors".
ERROR_TYPE = "error.type"
# What a call of a model cost, by the user's own table; the conventions have no name for it.
COST_USD = "rundial.cost_usd"

SCOPE_NAME = "rundial"

# SeverityNumber by the level names that `log_text` takes (logs data model, "Severity").
SEVERITY = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
SEVERITY_TEXT = {1: "TRACE", 5: "DEBUG", 9: "INFO", 13: "WARN", 17: "ERROR", 21: "FATAL"}
