"""`Outputs`: what a run makes beside its streams: artifacts, checkpoints, media, results. A base of `Run`.

A call looks at its arguments, at most once at the file system, and leaves one record in the recorder.
Snapshots, digests and uploads are the artifact worker's, whether there is a server or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from rundial.api.facts import Facts
from rundial.api.rows import as_time_ms
from rundial.errors import RecordDroppedError, RundialRequestError, RunFinishedError
from rundial.interrupts import let_through
from rundial.signals import semconv, values
from rundial.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.api.span import Span
    from rundial.api.trace import Tracing
    from rundial.artifacts.handle import ArtifactDownloadHandle

DEFAULT_KEEP_LAST = 5
_NUMBERS = frozenset({int, float, bool})
_SHORT = frozenset({int, float, bool, type(None)})


class Outputs(Facts):
    """A run's files; see `Run`."""

    _steps: Iterator[int]
    _tracing: Tracing

    def log(
        self,
        metrics: Mapping[str, object],
        *,
        step: int | None = None,
        time_ms: int | None = None,
        context: Mapping[str, str] | None = None,
    ) -> bool:
        """Record values; see `Run.log`."""
        raise NotImplementedError

    def log_artifact(  # noqa: PLR0913 - the published signature
        self,
        path_or_dir: str | os.PathLike[str] | None,
        *,
        name: str | None = None,
        type: str | None = None,
        metadata: Mapping[str, object] | None = None,
        aliases: Sequence[str] | None = None,
        retention_policy: Mapping[str, object] | None = None,
        references: Sequence[str] | Mapping[str, str] | None = None,
    ) -> bool:
        """Have a file or a directory delivered; returns before it is read.

        A worker takes a snapshot as soon as it can, so what is recorded is the file as it then is; where it
        had changed since the call, the artifact says `rundial.changed_before_snapshot`. Offline it waits
        on disk for `rundial sync`.

        Args:
            path_or_dir: What to deliver. A URI (`s3://`, `gs://`, `https://`, `file://`) is kept as a
                reference and not copied. None when there are only references.
            name: 1 to 256 characters, without a colon; the path's last part when None.
            type: What it is for, such as `model` or `dataset`.
            metadata: What is known of it; at most 32 KiB of JSON.
            aliases: Names for this version; `latest` is given by itself.
            retention_policy: `{"strategy": "keep_last", "keepLast": 5}`, `{"strategy": "ttl",
                "ttlSeconds": 86400}` or `{"strategy": "keep_all"}`; None keeps all.
            references: URIs, or a mapping of paths to URIs, of files that stay where they are.

        Returns:
            Whether it was accepted. False when the run has ended, is disabled, or holds too much.

        Raises:
            ValueError: There is nothing at the path, or an argument is wrong; nothing was logged.
            TypeError: As above.
        """
        return self._log_artifact(
            path_or_dir,
            name=name,
            type=type,
            metadata=metadata,
            aliases=aliases,
            retention=retention_policy,
            references=references,
        )

    def checkpoint(
        self,
        model_path: str | os.PathLike[str],
        *,
        step: int | None = None,
        name: str = "checkpoint",
        metadata: Mapping[str, object] | None = None,
        keep_last: int | None = DEFAULT_KEEP_LAST,
    ) -> bool:
        """Have a checkpoint delivered, as an artifact of type `checkpoint` with the alias `latest`.

        Args:
            model_path: A file or a directory.
            step: The step it was made at.
            name: The same for all checkpoints that follow each other.
            metadata: What is known of it.
            keep_last: How many of this run and name the server keeps, at least 1; None keeps all.

        Returns:
            As for `log_artifact`.

        Raises:
            ValueError: There is nothing at the path, or an argument is wrong; nothing was logged.
        """
        number = None if step is None else values.as_step(step)
        if step is not None and number is None:
            raise ValueError(f"step must be a whole number from 0, not {step!r}; nothing was logged")
        if keep_last is not None and (isinstance(keep_last, bool) or keep_last < 1):
            raise ValueError(f"keep_last must be at least 1, not {keep_last!r}; nothing was logged")
        known = {**(metadata or {})} if number is None else {**(metadata or {}), "step": number}
        return self._log_artifact(
            model_path,
            name=name,
            type="checkpoint",
            metadata=known,
            aliases=["latest"],
            retention=None if keep_last is None else {"strategy": "keep_last", "keepLast": keep_last},
            references=None,
            step=number,
        )

    def log_eval_result(  # noqa: PLR0913 - the published signature
        self,
        eval_run_id: str,
        example_id: str,
        *,
        scores: Mapping[str, object],
        passed: Mapping[str, bool] | bool | None = None,
        trace: Span | str | None = None,
        evidence: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> bool:
        """Record what one example of an evaluation came to.

        It is recorded like a line of text, counted with the lines in the ledger, and links to the span
        that it is logged in. Of several results of one example and scorer the one logged last stands.

        Args:
            eval_run_id: The evaluation run, 1 to 128 letters, digits, `.`, `_`, `-`; one that nobody has
                heard of begins with this result.
            example_id: 1 to 256 characters, the same in every evaluation run that is compared.
            scores: At most 100 names, each with a boolean, a finite number, NaN (no score, not passed),
                None (not judged) or `{"score": …, "passed": …, "meta": …}`.
            passed: Whether that is good enough: for all scorers, or by scorer.
            trace: A span, a trace id (32 hexadecimal digits) or a W3C `traceparent`; None takes the
                current span.
            evidence: `{"artifactId": …, "path": …}` of a file that it rests on.
            meta: What else is known; beyond 8 KiB the ends of long values are cut and flagged.

        Returns:
            Whether it was accepted; what is wrong is dropped as a whole, told and counted `invalid`. Never
            raises, but in strict mode.
        """
        try:
            from rundial.signals import results

            try:
                names = results.eval_run_id_of(eval_run_id), results.example_id_of(example_id)
                body = results.body_of(
                    names,
                    results.rows_of(scores, passed),
                    ids=self._current_ids() if trace is None else results.ids_of(trace),
                    evidence=results.evidence_of(evidence),
                    meta=results.meta_of(meta),
                )
            except ValueError as error:
                let_through(error)
                self._sink.drop("lines", "invalid", 1)
                self._tally.lost(
                    "invalid", "log_eval_result", f"log_eval_result: {error}; the result is dropped"
                )
                return False
            return self._sink.result(semconv.EVENT_EVAL_RESULT, body) or self._refused("lines")
        except (RecordDroppedError, RunFinishedError):
            raise
        except Exception as error:  # noqa: BLE001 - counted as internal_error
            return self._failed("lines", 1, error)

    def _current_ids(self) -> tuple[str, str]:
        trace_id, span_id = self._tracing.current_ids()
        return (f"{trace_id:032x}", f"{span_id:016x}") if trace_id else ("", "")

    def tell_eval_start(self, body: Mapping[str, object]) -> bool:
        """Record that an evaluation run begins, and of what; not for users."""
        return self._record(semconv.EVENT_EVAL_START, [dict(body)], "the start of the evaluation run")

    def use_artifact(self, artifact_ref: str) -> ArtifactDownloadHandle:
        """Ask the server for an artifact, and have it noted that this run uses it.

        Args:
            artifact_ref: `name`, `name:alias`, `name:v3` or an artifact's id.

        Returns:
            What downloads it, with every digest verified.

        Raises:
            RundialRequestError: The run is not online, or the server does not know it or refuses.
        """
        if self.settings.mode != "online" or self.settings.is_plain_otlp:
            raise RundialRequestError(
                f"use_artifact needs a server, and this run is {self.settings.mode}; nothing was fetched"
            )
        return self.client.use_artifact(
            project_id=self.project_id, run_id=self.run_id, artifact_ref=artifact_ref
        )

    @property
    def client(self) -> Client:
        """The server's API; see `Run.client`."""
        raise NotImplementedError

    def _refused(self, signal: str) -> bool:
        """Say that records were refused; see `Run`."""
        raise NotImplementedError

    def _log_artifact(self, path_or_dir: object, **facts: Any) -> bool:
        from rundial.api import jobs

        return self._offer_job(jobs.artifact(path_or_dir, **facts))

    def _separated(self, metrics: Any) -> tuple[Mapping[str, Any], Any]:
        """Tell media from numbers; nobody who logs numbers alone pays for it."""
        if type(metrics) is dict and _NUMBERS.issuperset(map(type, metrics.values())):
            return {}, metrics
        from rundial.api import mediajobs

        try:
            return mediajobs.separated(metrics)
        except Exception as error:  # noqa: BLE001 - the user's own mapping; it is sorted out entry by entry
            let_through(error)
            return {}, metrics

    def _log_with_media(
        self, media: Mapping[str, Any], metrics: Any, step: Any, time_ms: Any, context: Any
    ) -> bool:
        number = next(self._steps) if step is None else values.as_step(step)
        stamp = None if time_ms is None else as_time_ms(time_ms)
        if number is None or (time_ms is not None and stamp is None):
            self._sink.drop("artifacts", "invalid", len(media))
            for key in media:
                self._tally.lost("invalid", key, f"media {key[:80]!r}: its step or time is none; dropped")
            if metrics:
                # Counts each of them for the same reason.
                self.log(metrics, step=step, time_ms=time_ms, context=context)
            return False
        # The numbers first: what media cost must not date them.
        is_whole = not metrics or self.log(metrics, step=number, time_ms=time_ms, context=context)
        return self._log_media(media, number, stamp) and is_whole

    def _log_media(self, media: Mapping[str, Any], step: int, time_ms: int | None = None) -> bool:
        """Offer each piece of media; one that fails costs no other one."""
        from rundial.api import mediajobs

        is_whole = True
        for key, value in media.items():
            try:
                job, made, size = mediajobs.job_of(key, value, step=step)
            except Exception as error:  # noqa: BLE001 - the user's own objects run here; it is counted
                let_through(error)
                self._sink.drop("artifacts", "invalid", 1)
                is_whole = False
                self._tally.lost("invalid", key, f"media {key[:80]!r}: {error}; dropped and counted invalid")
                continue
            if time_ms is not None:
                job["at"] = time_ms * 1_000_000
            is_whole &= self._offer_job(job, made, size)
        return is_whole

    def _offloaded(self, attrs: Mapping[str, object]) -> Mapping[str, object]:
        """Keep long values of a span beside the stream; nothing of that may cost the span."""
        try:
            if all(type(value) in _SHORT for value in attrs.values()):
                return attrs
            from rundial.api import evidence

            if not any(map(evidence.is_long, attrs.values())):
                return attrs
            return evidence.offloaded(attrs, self._offer_evidence)
        except Exception as error:  # noqa: BLE001 - the user's own mapping may raise; the span keeps what it can
            let_through(error)
            return attrs

    def _offer_evidence(self, job: Mapping[str, Any], made: Any, size: int) -> bool:
        return bool(self._sink.job(job, made, size))

    def _offer_job(self, job: Mapping[str, Any], made: Any = None, size: int = 0) -> bool:
        try:
            is_taken = self._sink.job(job, made, size)
            # None: this run keeps nothing, which is no loss.
            return bool(is_taken) or (is_taken is not None and self._refused("artifacts"))
        except (RecordDroppedError, RunFinishedError):
            raise
        except Exception as error:  # noqa: BLE001 - counted as internal_error
            return self._failed("artifacts", 1, error)
