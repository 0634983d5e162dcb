"""What the commands say of the pictures that they have made, and of those that they have not."""

from typing import Any

import jax

from jaxstyle.cli.printing import complain, say, say_json
from jaxstyle.errors import spelled
from jaxstyle.pipeline.job import Batch, Job
from jaxstyle.pipeline.nearness import describe
from jaxstyle.pipeline.no_network import with_network
from jaxstyle.pipeline.run import Outcome
from jaxstyle.pipeline.studio import Studio

Arguments = dict[str, Any]

_PHOTOGRAPH = "; strength 0 is the photograph"
_START = "; no step lowered the loss, so this is the start"


def report_unmade(errors: list[Exception]) -> int:
    """Prints why pictures were not made; returns the exit status."""
    for error in errors:
        complain(f"error: {spelled(error, lambda name: f'--{name}')}")
    return 1 if errors else 0


def interrupted(jobs: list[Job], outcomes: list[Outcome]) -> str:
    """Returns a sentence on what an interrupted run leaves."""
    tracks = {each.job.output: each.track for each in outcomes if each.track.kept}
    if len(jobs) == 1:
        output = jobs[0].output
        if output not in tracks:
            failed = [failure.error for each in outcomes for failure in each.failures]
            early = (
                "" if any(each.track.good_steps for each in outcomes) else " before the first step"
            )
            return f"interrupted{early}; {failed[0] if failed else f'{output} was not written'}"
        step = f"step {tracks[output].good_steps} of {tracks[output].num_steps}"
        return f"interrupted; {output} holds {step}"
    steps: dict[str, list[str]] = {}
    for output, track in tracks.items():
        if track.finite and track.step < track.num_steps:
            step = f"step {track.good_steps} of {track.num_steps}"
            steps.setdefault(step, []).append(str(output))
    done = len(tracks) - sum(map(len, steps.values()))
    unfinished = [f"{step} in {', '.join(names)}" for step, names in steps.items()]
    return "; ".join([f"interrupted; {done} of {len(jobs)} pictures are done", *unfinished])


def report(studio: Studio, batch: Batch, outcome: Outcome, arguments: Arguments) -> None:
    """Prints what has become of a job whose picture was written, or diverged."""
    job, track = outcome.job, outcome.track
    if track.finite and not track.kept:
        return  # why it could not be written is said at the end
    height, width = studio.shape(job)
    trimmed = studio.sources.trimmed(job)
    if not track.finite:
        step = track.good_steps
        where = f"the picture is from step {step}" if step else "it was not written"
        if job.recipe.command == "apply":
            reason = f"the picture is not finite after step {step}; {where}; try another network"
        else:
            reason = (
                f"the loss is not finite after step {step}; {where}; "
                "try smaller weights, another --solver or another --network"
            )
        complain(f"error: {job.output}: {reason}")
        if not step:
            return
    if "json" in arguments:
        last = track.rows[track.good_steps]
        judged = {"loss": last["loss"], "terms": track.terms()} if track.judged else {}
        summary = {
            "output": str(job.output),
            "width": width,
            "height": height,
            **judged,
            "steps": track.good_steps,
            "evaluations": last["evaluations"],
            "seconds": round(outcome.seconds, 3),
            "finite": track.finite,
            "device": jax.devices()[0].device_kind,
            **({"trimmed": {k: list(v) for k, v in trimmed.items()}} if trimmed else {}),
            **studio.settings(job),
        }
        say_json(summary)
    elif "quiet" not in arguments:
        network = with_network(studio.suited(job)[1])
        if track.judged:
            steps = "1 step" if track.good_steps == 1 else f"{track.good_steps} steps"
            made = f"{steps} in {outcome.seconds:.0f} s {network}"
            near = describe(track)
            start = _PHOTOGRAPH if job.recipe.options.get("strength") == 0 else _START
            made += f"{near and ', '}{near}{'' if track.better else start}"
        else:
            made = f"painted in {outcome.seconds:.1f} s {network}"
        if trimmed:
            made += f"; without the frame of {', '.join(trimmed)}, which --no-trim keeps"
        say(f"{job.output}: {width}×{height} pixels, {made}")
