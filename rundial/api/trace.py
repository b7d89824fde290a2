"""`run.trace` and what is like it, and OpenTelemetry's providers: `Spans`, a base of `Run`.

A base class and not a part, because all of it is the run's own public surface, which does not fit one file.
OpenTelemetry and `rundial.api.span` are imported by the first span, the GenAI spans by the first of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from rundial.api.outputs import Outputs
from rundial.interrupts import let_through
from rundial.signals import semconv, values
from rundial.signals.attributes import clean_attributes, is_plain
from rundial.typed import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from opentelemetry import trace as otel
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    from rundial.api.agents import Agent, GenAISpan, LLMCall, Tool
    from rundial.api.providers import LogsProvider, Providers
    from rundial.api.sink import Sink
    from rundial.api.span import Span

SpanKind = Literal["internal", "server", "client", "producer", "consumer", "tool"]
# Where a failure of ours costs the whole span.
LOSING_SPANS = ("end", "finish")

S = TypeVar("S", bound="GenAISpan")
# By span id, whether the recorder took a span that is being ended; OTel's `end` cannot say.
Answers = dict[int, bool]


class Tracing:
    """A run's tracer, made at the first span: importing OTel's SDK costs more than a short run.

    Args:
        make: Makes the provider, and says by `processor` what writes its spans to the recorder.
        on_failure: Told of a failure of ours, with what failed; counts it, and raises in strict mode.

    Attributes:
        sink: Where the spans go; another one after a fork.
        processor: What writes them there; None before the first span, and where nothing is recorded.
        own_tracer: Makes spans without the SDK; None where there are none, or somebody else listens.
        answers: Where the processor says what became of a span that has ended.
        offload: Puts a reference in the place of each long value; None leaves them to be cut.
        prices: What models cost, as `rundial.prices` has it; None for nothing.
    """

    def __init__(
        self, make: Callable[[Tracing], Any], *, on_failure: Callable[[str, Exception], None]
    ) -> None:
        self._make = make
        self.on_failure = on_failure
        self.sink: Sink | None = None
        self.processor: Any = None
        self.answers: Answers = {}
        self.offload: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None
        self.prices: Mapping[str, Mapping[str, float]] | None = None
        self._span_type: type[Span] | None = None
        self._provider: Any = None
        self.own_tracer: Any = None
        self._tracer: Any = None
        # OpenTelemetry's API, once there is a tracer.
        self.calls: Any = None
        self._current: Callable[[], otel.Span] | None = None
        # Guards the making; two providers would write each span twice.
        self._lock = Lock()

    def span_type(self) -> type[Span]:
        """Return `Span`, imported by the first one."""
        if self._span_type is None:
            from rundial.api.span import Span

            self._span_type = Span
        return self._span_type

    def provider(self) -> Any:
        """Return the run's tracer provider, which is OTel's own."""
        if self._provider is None:
            with self._lock:
                if self._provider is None:
                    self._provider = self._make(self)
        return self._provider

    @property
    def is_silent(self) -> bool:
        """Whether nothing is recorded, whatever is traced."""
        self.provider()
        return self.processor is None

    def tracer(self) -> Any:
        """Return the run's tracer: its own, or the SDK's where somebody else listens to the provider."""
        if self._tracer is None:
            from rundial.api import otelcalls
            from rundial.version import __version__

            self.calls = otelcalls
            provider = self.provider()
            self._tracer = self.own_tracer or provider.get_tracer(semconv.SCOPE_NAME, __version__)
        return self._tracer

    def share(self) -> None:
        """Make spans of the SDK from now on, because somebody else is to be told of them."""
        self._tracer = self.own_tracer = None

    def cleaned(self, attrs: Mapping[str, object]) -> Mapping[str, Any]:
        """Return attributes fit for OpenTelemetry, long ones replaced by references."""
        if type(attrs) is dict and is_plain(attrs):
            return attrs
        if self.offload is not None:
            attrs = self.offload(attrs)
        return clean_attributes(attrs)[0]

    def completed(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the attributes of a span that ends: long ones offloaded, the cost of tokens added."""
        if self.offload is not None:
            attributes = self.offload(attributes)
        if self.prices and semconv.COST_USD not in attributes:
            from rundial.signals.genai import cost_of

            cost = cost_of(attributes, self.prices)
            if cost is not None:
                attributes = {**attributes, semconv.COST_USD: cost}
        return attributes

    def current_ids(self) -> tuple[int, int]:
        """Return the trace and span id of the current span, the run's own or any other; zeros without one."""
        if self._current is None:
            # Where nobody has imported it, nobody has a span.
            module = sys.modules.get("opentelemetry.trace")
            self._current = getattr(module, "get_current_span", None)
            if self._current is None:
                return 0, 0
        span = self._current()
        context = span.get_span_context()
        return context.trace_id, context.span_id

    def redirect(self, sink: Sink) -> None:
        """Have spans go elsewhere from now on, those that are open included."""
        self.sink = sink
        if self.processor is not None:
            self.processor.redirect(sink)

    def leave_to_parent(self) -> None:
        """In a forked child: record nothing before `redirect`, and never a span that the parent has begun."""
        self._lock = Lock()
        self.answers.clear()
        if self.processor is not None:
            self.processor.mute()


class Spans(Outputs):
    """A run's spans; see `Run`."""

    _tracing: Tracing
    _attributes: tuple[tuple[str, str], ...]
    before_finish: list[Callable[[float], None]]
    _providers: Providers | None = None

    def trace(  # noqa: PLR0913 - the published signature, and what links a span to others
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        attrs: Mapping[str, object] | None = None,
        step: int | None = None,
        parent: object = None,
        links: Sequence[object] = (),
        trace_id: str | None = None,
        parent_span_id: str | None = None,
    ) -> Span:
        """Return a span, to be used with `with`, as a decorator, or finished by hand.

        As a decorator it takes functions, coroutine functions, generators and async generators; each call is
        a span of its own.

        Args:
            name: At most 512 characters.
            kind: internal, server, client, producer, consumer or tool.
            attrs: Attributes at the start.
            step: The step of the run's points that the span belongs to, from 0.
            parent: Where the span belongs, when that is not the current span: a W3C `traceparent`, request
                headers or an environment (`os.environ`) that may hold one, or a span of whatever kind.
            links: Spans that it has to do with but is not below, named as for `parent`.
            trace_id: 32 hexadecimal digits; None takes the current span's.
            parent_span_id: 16 hexadecimal digits; None takes the current span.

        Raises:
            ValueError: The kind is none of these. Other arguments that cannot be read are told, and cost the
                span its place in the trace at most.
        """
        return self._tracing.span_type()(
            self._tracing,
            name,
            kind=kind,
            attrs=attrs if step is None else self._with_step(attrs, step),
            parent=parent,
            trace_id=trace_id,
            parent_id=parent_span_id,
            links=links,
        )

    def tool_call(
        self,
        name: str,
        *,
        input: object = None,
        output: object = None,
        attrs: Mapping[str, object] | None = None,
        status: str = "ok",
    ) -> bool:
        """Record a tool call that is over, as a span of no length.

        Args:
            name: The tool; the span is `tool:<name>`.
            input: What it was given, as `tool.input`; left out when None.
            output: What it answered, as `tool.output`; left out when None.
            attrs: Further attributes; the ones above win.
            status: `ok`, `error` or `unset`.

        Returns:
            Whether the span was accepted. One that is not over yet: `with run.tool(name)`.

        Raises:
            ValueError: The status is not one of the three.
        """
        facts: dict[str, object] = {
            "tool.name": name,
            semconv.GEN_AI_OPERATION: "execute_tool",
            semconv.GEN_AI_TOOL_NAME: name,
        }
        from rundial.api.agents import told

        for key, value in (("tool.input", input), ("tool.output", output)):
            if value is not None:
                facts |= told(key, value)
        return self.trace(f"tool:{name}", kind="tool", attrs={**(attrs or {}), **facts}).finish(status=status)

    def agent(  # noqa: PLR0913 - the conventions' own attributes, by name
        self,
        name: str,
        *,
        description: str | None = None,
        agent_id: str | None = None,
        conversation_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        input: object = None,
        attrs: Mapping[str, object] | None = None,
        step: int | None = None,
        parent: object = None,
    ) -> Agent:
        """Return a span of one invocation of an agent, for `with` or as a decorator; agents nest.

        Args:
            name: The agent; the span is `invoke_agent <name>`.
            description: What it is for.
            agent_id: Its id, where it has one.
            conversation_id: The conversation, session or thread that this is a part of.
            model: The model that it mostly uses.
            provider: Whose model, such as `openai`, `anthropic`, `aws.bedrock`, `gcp.vertex_ai`.
            input: What it was asked; see `GenAISpan.input`.
            attrs: Further attributes.
            step: As for `trace`.
            parent: As for `trace`.
        """
        from rundial.api.agents import Agent

        return self._genai(
            Agent,
            f"invoke_agent {name}",
            {
                semconv.GEN_AI_OPERATION: "invoke_agent",
                semconv.GEN_AI_AGENT_NAME: name,
                semconv.GEN_AI_AGENT_ID: agent_id,
                semconv.GEN_AI_AGENT_DESCRIPTION: description,
                semconv.GEN_AI_CONVERSATION: conversation_id,
                semconv.GEN_AI_REQUEST_MODEL: model,
                semconv.GEN_AI_PROVIDER: provider,
            },
            attrs,
            step=step,
            parent=parent,
            input=input,
        )

    def llm_call(  # noqa: PLR0913 - as above
        self,
        *,
        model: str,
        provider: str | None = None,
        operation: str = "chat",
        input: object = None,
        system: object = None,
        tools: Sequence[object] | None = None,
        conversation_id: str | None = None,
        params: Mapping[str, object] | None = None,
        attrs: Mapping[str, object] | None = None,
        step: int | None = None,
        parent: object = None,
    ) -> LLMCall:
        """Return a span of one call of a model, for `with`; say with its methods what came back.

        Its cost is recorded where `init(prices=…)` has a price for the model that answered or was asked.

        Args:
            model: The model that is asked; the span is `<operation> <model>`.
            provider: Whose it is, such as `openai`, `anthropic`, `aws.bedrock`, `gcp.vertex_ai`.
            operation: `chat`, `text_completion`, `generate_content`, `embeddings` or another word.
            input: The messages; see `GenAISpan.input`.
            system: Instructions that are given apart from the messages.
            tools: The tools that the model may call, as they are described to it.
            conversation_id: The conversation, session or thread that this is a part of.
            params: Further attributes under `gen_ai.request.`: `temperature`, `max_tokens`, `top_p`, `seed` …
            attrs: Further attributes.
            step: As for `trace`.
            parent: As for `trace`.
        """
        from rundial.api.agents import LLMCall

        asked = {f"{semconv.GEN_AI_REQUEST}{name}": value for name, value in (params or {}).items()}
        return self._genai(
            LLMCall,
            f"{operation} {model}",
            {
                semconv.GEN_AI_OPERATION: operation,
                semconv.GEN_AI_REQUEST_MODEL: model,
                semconv.GEN_AI_PROVIDER: provider,
                semconv.GEN_AI_CONVERSATION: conversation_id,
                semconv.GEN_AI_TOOL_DEFINITIONS: tools,
                **asked,
            },
            attrs,
            kind="client",
            step=step,
            parent=parent,
            input=input,
            system=system,
        )

    def tool(  # noqa: PLR0913 - as above
        self,
        name: str,
        *,
        arguments: object = None,
        call_id: str | None = None,
        description: str | None = None,
        type: str = "function",
        attrs: Mapping[str, object] | None = None,
        step: int | None = None,
        parent: object = None,
    ) -> Tool:
        """Return a span of one execution of a tool, for `with` or as a decorator.

        As a decorator it records the function's arguments and what it returns.

        Args:
            name: The tool; the span is `execute_tool <name>`.
            arguments: What it is given.
            call_id: The id that the model gave its call.
            description: What it is for.
            type: `function`, `extension` or `datastore`.
            attrs: Further attributes.
            step: As for `trace`.
            parent: As for `trace`.
        """
        from rundial.api.agents import Tool

        return self._genai(
            Tool,
            f"execute_tool {name}",
            {
                semconv.GEN_AI_OPERATION: "execute_tool",
                semconv.GEN_AI_TOOL_NAME: name,
                semconv.GEN_AI_TOOL_TYPE: type,
                semconv.GEN_AI_TOOL_CALL_ID: call_id,
                semconv.GEN_AI_TOOL_DESCRIPTION: description,
            },
            attrs,
            arguments=arguments,
            kind="tool",
            step=step,
            parent=parent,
        )

    def _genai(  # noqa: PLR0913 - as above
        self,
        made: type[S],
        name: str,
        facts: Mapping[str, object],
        attrs: Mapping[str, object] | None,
        *,
        kind: str = "internal",
        step: int | None,
        parent: object,
        input: object = None,
        system: object = None,
        arguments: object = None,
    ) -> S:
        whole = {**(attrs or {}), **{key: value for key, value in facts.items() if value is not None}}
        if input is not None or system is not None or arguments is not None:
            from rundial.api.agents import asked, told

            try:
                whole |= asked(input, system)
                whole |= told(semconv.GEN_AI_TOOL_ARGUMENTS, arguments) if arguments is not None else {}
            except Exception as error:  # noqa: BLE001 - the user's own objects; the span is worth more
                let_through(error)
                self._tracing.on_failure("record messages", error)
        whole = whole if step is None else self._with_step(whole, step)
        return made(self._tracing, name, kind=kind, attrs=whole, parent=parent)

    @property
    def tracer_provider(self) -> TracerProvider:
        """OpenTelemetry's tracer provider of this run, for any instrumentation that takes one.

        `OpenAIInstrumentor().instrument(tracer_provider=run.tracer_provider)`: its spans are the run's, below
        whichever span is current. Nothing global is set. Shutting it down stops nothing; the run's end does.
        """
        provider: TracerProvider = self._tracing.provider()
        return provider

    @property
    def logger_provider(self) -> LogsProvider:
        """OpenTelemetry's logger provider of this run: its log records and events are the run's text lines.

        Bodies that are no texts become JSON; `event.name` and attributes are kept.
        """
        return self._otel().logger_provider

    @property
    def meter_provider(self) -> MeterProvider:
        """OpenTelemetry's meter provider of this run: its metrics are the run's points.

        They are collected every `system_metrics_interval_seconds`, and once more at the end of the run. A
        sum or gauge is the series of its name, a histogram `<name>/count`, `/sum`, `/min` and `/max`;
        attributes are the points' context, and a point's step is the number of its collection.
        """
        return self._otel().meter_provider

    def attach_otel(self) -> tuple[str, ...]:
        """Record what goes through the application's own global providers, until the run ends.

        As `rundial.init(otel="attach")` does at once, for programs that set their providers later. A span
        belongs to the run that was attached last when it began. Nothing else of the providers changes.

        Returns:
            Of which of `traces`, `logs` and `metrics` there is a global provider that the run is attached to.
        """
        try:
            return self._otel().attach()
        except Exception as error:  # noqa: BLE001 - a provider of any make; the run goes on without it
            let_through(error)
            self._tracing.on_failure("attach to the application's providers", error)
            return ()

    def _otel(self) -> Providers:
        if self._providers is None:
            from rundial.api.providers import Providers

            made = Providers(
                self._tracing,
                attributes=self._attributes,
                interval_s=self.settings.system_metrics_interval_seconds,
                first_step=self.identity.get("first_system_step", 0),
                before_finish=self.before_finish,
            )
            # Two threads may come here at once; both get the one that is kept.
            self._providers = self.__dict__.setdefault("_providers", made)
        assert self._providers is not None
        return self._providers

    def _with_step(self, attrs: Mapping[str, object] | None, step: object) -> dict[str, Any]:
        number = values.as_step(step)
        if number is None:
            # The span is worth more than its place beside the points.
            error = ValueError(f"step must be a whole number from 0, not {step!r}")
            self._tracing.on_failure("take its step", error)
            return {**(attrs or {})}
        return {**(attrs or {}), semconv.STEP: number}
