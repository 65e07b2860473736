"""One training from its first update, or its snapshot, to the test at the end."""

from __future__ import annotations

import math
import shlex
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import exchange

from . import elastic
from .course import NonFinite
from .errors import InputError
from .feeding import Feed, not_finite
from .files import replace_file
from .identity import contradictions, data_identity, identity_of, same_data
from .job import Job
from .randomness import permutation
from .safetensors import write_safetensors
from .schedule import Horizon, in_steps, is_due
from .screen import Progress, Screen, duration_text, metric_text, metrics_text
from .signals import Ended, Signals
from .snapshots import Keeper, Snapshot
from .watch import Watch

#: Updates that may be under way before the oldest is reported: hides the way to the card and back.
AHEAD = 4


class Training:
    """`done` tells whether it came to its end, or was ended before with a snapshot to go on from."""

    def __init__(self, job: Job, screen: Screen):
        self.job, self.screen, self.course = job, screen, job.course
        self.first = exchange.rank() == 0
        self.signals = Signals()
        self.watch = self._make_watch()
        self.keeper: Keeper | None = None
        self.data = self._begin_data()
        self.identity = identity_of(job.settings, self.course.batch, self.data)

    def _make_watch(self) -> Watch | None:
        job = self.job
        if job.measure is None:
            return None
        on = {"part": "validation" if job.validation else "test"}
        if job.validation and "validation" in job.choices:
            on["keptBack"] = len(job.validation)
        text = job.resumed.snapshot.about.get("watch") if job.resumed else None
        return Watch(job.measure, on, job.choices.get("patience", math.inf), text)

    def _begin_data(self) -> dict:
        """What it trains over, and the update that its epochs count from."""
        job = self.job
        found = data_identity(job.train.plain, job.train.fields.values())
        there = job.resumed.snapshot.identity.get("data") if job.resumed else None
        data = {**found, "from": there["from"] if there else self.course.step}
        if job.resumed:
            wrong = contradictions(identity_of(job.settings, self.course.batch, data), job.resumed.snapshot.identity)
            if wrong:
                raise InputError(
                    "\n  ".join([f"this contradicts the training of {job.resumed.path}, which would no longer be the same:", *wrong])
                    + f"\nname the data and the settings as they were, or start a new training from its parameters: "
                    f"--weights {job.resumed.path} instead of --resume"
                )
        # A sample that is never the same says nothing: what was said first is kept.
        return there if there and same_data(data, there) else data

    def run(self) -> dict | None:
        """The result; None where it was ended before its time."""
        if self.first:
            self.keeper = self._open_keeper()
            elastic.remember(self.job.marks, self.keeper.folder)
        try:
            trained = self._updates()
            found = None if trained is None else self._finish(trained)
            if self.first:
                elastic.forget(self.job.marks)
            return found
        finally:
            self.signals.close()
            if self.keeper:
                self.keeper.close()

    def _open_keeper(self) -> Keeper:
        job = self.job
        if job.run is not None and job.resumed:
            return Keeper(job.run, job.choices, job.keep, job.resumed.path)
        keeper = Keeper.begin(job.place, self.course.seed, self.identity, job.choices, job.keep)
        if job.resumed:
            keeper.bring(job.resumed.path, self.watch)
        return keeper

    # Updates.

    def _length(self, per_epoch: int) -> float:
        """The update at which to stop: as asked for, else the file's, else one epoch more."""
        settings, start = self.job.settings, self.data["from"]
        asked, filed = self.job.choices, settings
        for said in (asked, filed):
            if said.get("steps") is not None:
                return start + said["steps"]
            if said.get("epochs") is not None:
                return start + said["epochs"] * per_epoch
        return self.course.step + per_epoch

    def _reader(self, per_epoch: int):
        """Reads the batches of an update: which samples follows from (seed, its number) alone."""
        course, feed, start = self.course, self.job.train, self.data["from"]
        order = {"epoch": -1, "indices": None}

        def read(t: int) -> list[dict]:
            epoch = (t - start) // per_epoch
            if order["epoch"] != epoch:
                order.update(epoch=epoch, indices=permutation(len(feed), course.seed, epoch))
            first = (t - start) % per_epoch * course.per_step
            starts = range(first, first + course.per_step, course.batch)
            return [feed.read(order["indices"][at : at + course.batch], course.draw(epoch)) for at in starts]

        return read

    def _updates(self) -> dict | None:
        """All updates, with the tests and snapshots that the file wants on the way."""
        job, course, screen, watch = self.job, self.course, self.screen, self.watch
        per_epoch = len(job.train) // course.per_step
        if per_epoch < 1:
            raise InputError(
                f"the dataset has {len(job.train)} samples, an update takes {course.per_step}: a smaller batch is needed, --batch"
            )
        began_with, began_at = course.step, time.monotonic()
        steps = math.ceil(self._length(per_epoch))
        self._say_start(steps)
        if watch and watch.pending:
            # It was stopped while it was tested: that comes first.
            test = self._test(max(1, math.ceil((course.step - self.data["from"]) / per_epoch)))
            if test is not None and test["best"]:
                self._write(test)
        if watch and (watch.pending or watch.over):
            return self._stopped(1) if watch.pending else {"loss": None, "seconds": 0}
        if steps <= course.step:
            screen.event(event="complete", step=course.step)
            screen.note(f"nothing is left to do: this training is complete after {course.step} updates; --epochs or --steps makes it longer")
            return {"loss": None, "seconds": 0}
        course.horizon = horizon = Horizon(per_epoch, steps)
        test_every, snapshot_every = (in_steps(job.settings.get(key), horizon) for key in ("test", "snapshot"))
        progress = Progress(screen, "train", steps, began_with)
        read = self._reader(per_epoch)
        waiting: deque = deque()
        loss = last_finite = written_at = None
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(read, course.step)
            while course.step < steps:
                parts = coming.result()
                if course.step + 1 < steps:
                    coming = pool.submit(read, course.step + 1)
                epoch = (course.step - self.data["from"]) // per_epoch
                waiting.append((epoch, *course.update(parts), course.step, parts))
                step = course.step
                epoch_ends = (step - self.data["from"]) % per_epoch == 0
                tests = watch is not None or "validation" in job.choices
                due = is_due(step, test_every) or (tests and ((job.settings.get("test") is None and epoch_ends) or step == steps))
                due = due and (tests or step < steps)
                # Whoever may be started anew keeps each epoch, where the file does not say how often.
                kept = epoch_ends and step < steps and job.settings.get("snapshot") is None and elastic.may_restart()
                snapshot_due = is_due(step, snapshot_every) or kept
                ends = self._ends(began_at)
                settle = epoch_ends or due or snapshot_due or step == steps or ends
                while len(waiting) > (0 if settle else AHEAD):
                    loss, last_finite = self._settle(waiting.popleft(), last_finite)
                    done = (step - began_with) * course.per_step
                    progress.update(step, done, f"epoch {epoch + 1}/{math.ceil(steps / per_epoch)}  loss {loss:.6g}")
                test = None
                if due:
                    test = self._test(epoch + 1)
                    if test is None:
                        break
                if snapshot_due or (test and test["best"]):
                    path, written_at = self._write(test), step
                    if snapshot_due and self.first:
                        screen.note(f"step {step}: snapshot {path}")
                    screen.event(event="snapshot", step=step, path=path)
                if (watch and watch.over) or ends:
                    break
            coming.cancel()
        left = steps - course.step
        ended_by_patience = watch is not None and watch.over and not self.signals.why
        if ended_by_patience:
            self._say_patience(left)
        elif left > 0 or (watch and watch.pending):
            stopped = self._stopped(left)
            if stopped is None:
                return None
        if left <= 0 and written_at != course.step and not (watch and watch.pending) and self.job.keep > 0:
            self._keep_end()
        seconds = time.monotonic() - began_at
        done = course.step - began_with
        screen.note(f"{done} steps in {duration_text(seconds)}, {done * course.per_step / max(seconds, 1e-3):.0f} samples/s")
        return {"loss": loss, "seconds": seconds}

    def _keep_end(self) -> None:
        """A training that ended can be made longer: its last state is kept as well. That it cannot be is no reason to lose what was trained."""
        exchange.join_statistics(self.course.net)
        if self.keeper:
            try:
                path = self.keeper.write(self._snapshot(), None, self.watch)
                self.screen.event(event="snapshot", step=self.course.step, path=path)
                self.screen.note(f"snapshot {path}: --resume makes this training longer, with --epochs or --steps")
            except (InputError, OSError) as error:
                self.screen.note(f"no snapshot was made of the end, from which it could be made longer: {error}")
        exchange.wait_for_all()

    def _ends(self, began_at: float) -> bool:
        """Whether it should end now, by a signal or by its time: if one process is to, all are."""
        late = time.monotonic() - began_at > self.job.most_seconds
        ends = exchange.any_of(self.signals.why is not None or late)
        return ends

    def _settle(self, update: tuple, last_finite: float | None) -> tuple[float, float | None]:
        """Looks at what an update gave. Raises NonFinite."""
        epoch, rate, totals, broken, step, parts = update
        loss = totals.loss(totals.values(mean=True))
        broken = int(broken)
        self.screen.event(event="step", step=step, epoch=epoch, loss=loss, rate=rate)
        if math.isfinite(loss) and broken == 0:
            return loss, loss
        if not self.job.keep_going:
            self._leave(step)
            before = "" if last_finite is None else f"; the last finite loss was {last_finite:.6g}"
            what = f"the loss is {loss}" if not math.isfinite(loss) else f"{broken} gradients or new weights are not finite"
            given = not_finite(parts)
            if given:
                raise NonFinite(f"update {step}: {what}, since {given}{before}. --keep-going trains on")
            raise NonFinite(f"update {step}, rate {rate:.6g}: {what}{before}. A smaller rate, or clip_gradients, may help; --keep-going trains on")
        return loss, last_finite

    def _leave(self, step: int) -> None:
        if not self.keeper:
            return
        good = f"the last good snapshot is {self.keeper.last}" if self.keeper.last else "no snapshot was made before"
        try:
            path = self.keeper.leave(self._snapshot())
            good += (
                f"\nweights after step {self.course.step}, with what was under way by then, all of them numbers: {path}"
                f"\na new training starts from them by: --weights {path}"
            )
        except InputError:
            pass
        self.screen.note(f"the first number that is none came at step {step}; {good}")

    # Tests and snapshots.

    def _test(self, epoch: int) -> dict | None:
        """A test on the way, with `best`: whether it was the best so far. None: what ends the training ended it."""
        part = "validation" if self.job.validation else "test"
        if self.watch:
            self.watch.pending = True
        if exchange.any_of(self.signals.why is not None):
            return None
        found = self._evaluate(self.job.validation or self.job.test)
        if found is None:
            return None
        best = self.watch.take(found, self.course.step, epoch) if self.watch else False
        since = self.watch.since if self.watch else 0
        after = ", the best so far" if best else f", no better for {since} test{'s' if since > 1 else ''}" if since else ""
        self.screen.note(f"step {self.course.step}: {part} {metrics_text(found)}{after}")
        self.screen.event(event="test", step=self.course.step, part=part, **({"best": best} if self.watch else {}), **found)
        return {**found, "best": best}

    def _evaluate(self, feed: Feed, on_batch=lambda done: None) -> dict | None:
        """None: a signal ended it. Of several processes each must do all of it."""

        def looked(done: int) -> None:
            if self.signals.why is not None and exchange.world() == 1:
                raise Ended
            on_batch(done)

        try:
            return self.course.evaluate(feed, looked)
        except Ended:
            return None

    def _snapshot(self) -> Snapshot:
        return self.course.snapshot(self.identity)

    def _write(self, test: dict | None) -> str | None:
        """A snapshot of now, by the first process; all wait until it is there."""
        path = None
        exchange.join_statistics(self.course.net)
        if self.keeper:
            path = self.keeper.write(self._snapshot(), test and self._score_of(test), self.watch)
        exchange.wait_for_all()
        return path

    def _score_of(self, test: dict) -> dict | None:
        """An accuracy if there is one, else the loss."""
        if self.watch:
            score = self.watch.score_of(test)
        else:
            name = next((n for n in test["metrics"] if n.lower().startswith(("accuracy", "top"))), None)
            value = test["loss"] if name is None else test["metrics"][name]
            score = {"name": name or "loss", "value": math.nan if value is None else value, "better": "lower" if name is None else "higher"}
        return score if math.isfinite(score["value"]) else None

    def _stopped(self, left: float) -> dict | None:
        """Ended with updates left: by a signal (then None), or by its time: it is tested and saved as usual."""
        exchange.join_statistics(self.course.net)
        if self.keeper:
            path = self.keeper.rescue(self._snapshot(), self.watch)
            resume = self._resume(path)
            if self.signals.why is None:
                self.screen.note(f"its time is over at step {self.course.step}, with {left} left; snapshot {path}\nresume by: {resume}")
            else:
                self.screen.note(f"{self.signals.why} at step {self.course.step}, snapshot {path}\nresume by: {resume}")
            event = "stopped" if self.signals.why is None else "interrupted"
            self.screen.event(event=event, step=self.course.step, path=path, resume=resume)
        ended = exchange.any_of(self.signals.why is not None)
        return None if ended else {}

    def _resume(self, path: str) -> str:
        folder = self.keeper.folder
        return shlex.join([*self.job.resume_by, "--resume", folder if path.startswith(folder) else path])

    # What is told, and what stays.

    def _say_start(self, steps: float) -> None:
        job, course = self.job, self.course
        self.screen.event(
            event="start", net=job.settings["net"], device=str(course.device), processes=exchange.world(), seed=course.seed,
            batch=course.batch, accumulate=course.accumulate, samples=len(job.train), step=course.step, steps=steps, data=job.data_name,
            snapshots=self.keeper.folder if self.keeper else None, weights=job.save, inputs=job.train.learned(),
        )
        processes = f", {exchange.world()} processes" if exchange.world() > 1 else ""
        after = f", from step {course.step}" if course.step else ""
        self.screen.note(
            f"{job.settings['net']} on {job.data_name}: {len(job.train)} samples, batch {course.batch}, seed {course.seed}, "
            f"{course.device}{processes}{after}"
        )

    def _say_patience(self, left: float) -> None:
        watch = self.watch
        # Whoever has more patience goes on from here.
        if left > 0:
            self._write(None)
        self.screen.event(event="patience", step=self.course.step, tests=watch.since)
        self.screen.note(
            f"ended after step {self.course.step}: {watch.measure['metric']} of {watch.on['part']} was no better for {watch.since} "
            f"test{'s' if watch.since > 1 else ''} (--patience {self.job.choices['patience']})"
        )

    def _finish(self, trained: dict) -> dict | None:
        """Takes the best weights where they were asked for, saves, and tests."""
        job, course, screen = self.job, self.course, self.screen
        best = self.watch.best if self.watch else None
        exchange.join_statistics(course.net)
        if best:
            screen.event(event="best", **best)
            taken = "" if best["step"] == course.step else "; its weights are taken"
            screen.note(
                f"best {best['metric']} of {best['part']}: {metric_text(best['metric'], best['value'])}, after epoch {best['epoch']} "
                f"(step {best['step']}){taken}"
            )
            if best["step"] != course.step:
                course.set_weights(self.keeper.best_weights(self.watch) if self.keeper else None)
        elif self.watch:
            screen.note(f"no test on the way gave a number for {self.watch.measure['metric']}, so none was the best: the last weights are taken")
        if self.first:
            replace_file(job.save, bytes(write_safetensors(course.weights(), {"format": "pt"})))
            screen.print(f"wrote {job.save}{', with the weights of epoch ' + str(best['epoch']) if best else ''}")
            kept = self.keeper.best
            if not self.watch and kept and kept[0] != self.keeper.last and job.keep > 0:
                screen.note(f"best snapshot: {kept[0]}, {kept[1]['name']} {metric_text(kept[1]['name'], kept[1]['value'])}")
        progress = Progress(screen, "test", len(job.test))
        test = self._evaluate(job.test, lambda done: progress.update(done, done))
        if test is None:
            screen.event(event="interrupted", step=course.step)
            screen.note(f"{self.signals.why} while it was tested: the training was complete")
            return None
        screen.event(event="test", step=course.step, **test)
        screen.print(f"test on {test['count']} samples: {metrics_text(test)}")
        if self.first:
            self.keeper.finish()
        result = {"seed": course.seed, "steps": course.step, **trained, **({"best": best} if best else {}), "test": test}
        screen.event(event="done", device=str(course.device), runs=[result], weights=job.save)
        return result
