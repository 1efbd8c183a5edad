"""The judge of timed calls, as asked by the backend's process in the course of a request."""

from __future__ import annotations

from collections.abc import Mapping

from harness.laws.deviation import Deviation
from harness.problems.arrays import Array
from harness.worker.judging import Contents
from harness.worker.wire.arena import Answers
from harness.worker.wire.channel import Channel
from harness.worker.wire.messages import DrawSeed, JudgeOutputs, Question, Seed, Verdict, encoder, verdicts


class RemoteJudge:
    """Asks the judge's process; `ticket` is that of the request that is being answered."""

    def __init__(self, channel: Channel, answers: Answers) -> None:
        """Ask on a channel, with outputs in an arena."""
        self.channel, self.answers, self.ticket = channel, answers, 0

    def draw_seed(self) -> int:
        """Return a secret seed of the judge."""
        answer = self._ask(DrawSeed())
        assert isinstance(answer, Seed)
        return answer.value

    def judge(self, contents: Contents, outputs: Mapping[str, Array]) -> Deviation:
        """Return the judge's verdict on outputs."""
        self.answers.begin()
        placed = {name: self.answers.put(a) for name, a in outputs.items()}
        answer = self._ask(JudgeOutputs(contents.seed, contents.renewed, contents.word, contents.stirred, placed))
        assert isinstance(answer, Verdict)
        return answer.deviation

    def _ask(self, question: Question) -> Seed | Verdict:
        self.channel.send(encoder.encode(question), self.ticket)
        body, _ = self.channel.receive()
        return verdicts.decode(body)
