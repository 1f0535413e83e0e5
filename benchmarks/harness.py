"""What every benchmark shares: fresh processes, calls in turn, medians, the machine's name, one
file of figures and one page.

A script says what it measures, as functions that return nested dictionaries of numbers, and how
its page looks. Every figure is a median of calls that take turns in one process, so that all of
them meet the same interruptions. It is taken in several fresh processes; the median over the
processes is reported, with the lowest and the highest as the spread.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

here = Path(__file__).resolve().parent

def interleaved(calls, rounds, block=1, clock=time.perf_counter):
    """Microseconds of each call: the median over `rounds` blocks, in turn with those of the others.

    The `clock` of a single thread, `time.thread_time`, stands still while other programs run.
    """
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, f in calls.items():
            f() # brings its data back into the cache
            for _ in range(block):
                begin = clock()
                f()
                times[name].append(1e6*(clock() - begin))
    return {name: median(ts) for name, ts in times.items()}

def in_turn(sizes, ways, base, rounds, alone=(), clock=time.perf_counter):
    "Microseconds of each way for each size, after a test that all but those `alone` train alike."
    for title, size in sizes.items():
        calls = ways(*size)
        losses = {n: [f().item() for _ in range(5)] for n, f in calls.items() if n not in alone}
        for name, ls in losses.items():
            same = all(abs(a - b) < 1e-4 for a, b in zip(ls, losses[base], strict=True))
            assert same, f'{name}: other losses: {ls}'
        yield title, interleaved(calls, rounds, 10, clock)

def spread(values):
    return dict(median=median(values), low=min(values), high=max(values))

def combine(runs):
    "The same nested dictionaries with, for every number, its spread over the processes."
    if isinstance(runs[0], dict):
        return {k: combine([r[k] for r in runs]) for k in runs[0]}
    return spread(runs)

def digits(few=None):
    "The digits with standardized pixels; for a quick try, the first `few` of each part."
    from mlfound.data import mnist
    from mlfound.training import standardized
    return [s._replace(x=s.x[:few], y=s.y[:few]) for s in map(standardized, mnist())]

def trained(model, data, seed, **settings):
    "Seconds, processor seconds, and what is right of the validation and the test examples (%)."
    from mlfound.fit import evaluate, fit
    train, valid, test = data
    begin, cpu = time.perf_counter(), time.process_time()
    fit(model, train, valid, seed=seed, progress=False, **settings)
    spent = time.perf_counter() - begin, time.process_time() - cpu
    return *spent, *(100 * evaluate(model, part)[1] for part in (valid, test))

def summary(rows):
    "Means over the seeds, and the test examples seed by seed."
    columns = dict(zip(('seconds', 'cpu_seconds', 'valid', 'test'), zip(*rows), strict=True))
    means = {k: mean(v) for k, v in columns.items()}
    return means | {f'seed {k}': row[3] for k, row in enumerate(rows)}

def trainings(compared, seeds, one):
    "What `one(name, way, seed)` gives for each seed, the ways that `compared` has by turns."
    runs = {}
    for name, ways in compared.items():
        for seed in range(seeds):
            for way in ways:
                runs.setdefault(f'{name}, {way}', []).append(one(name, way, seed))
    return {name: summary(rows) for name, rows in runs.items()}

def trainings_table(found):
    "The lines of a table of what `trainings` found."
    yield '| | seconds | processor seconds | valid (%) | test (%) | seed by seed |'
    yield '|---|---|---|---|---|---|'
    for name, r in found.items():
        seeds = ', '.join(f'{v:.2f}' for k, v in r.items() if k.startswith('seed '))
        means = f"{r['seconds']:.1f} | {r['cpu_seconds']:.1f} | {r['valid']:.2f} | {r['test']:.2f}"
        yield f'| {name} | {means} | {seeds} |'

def machine(threads):
    "What the figures depend on."
    import torch
    cpu, info = platform.processor() or platform.machine(), Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return dict(cpu=names[0] if names else cpu, capability=torch.backends.cpu.get_cpu_capability(),
                threads=threads, system=f'{platform.system()} {platform.machine()}',
                python=platform.python_version(), torch=torch.__version__)

def named(m):
    "The machine as a page names it."
    threads = f"{m['threads']} thread{'s'*(m['threads'] > 1)}"
    return (f"{m['cpu']}, {m['capability']}, {threads}, {m['system']}, Python {m['python']}, "
            f"torch {m['torch']}.{m.get('note', '')}")

def cell(s, form):
    "A median with its spread, for a table."
    return f"{s['median']:{form}} ({s['low']:{form}}–{s['high']:{form}})"

def tables(parts, head, row):
    "The lines of a table for each part: `head` of its columns, and `row(name, figures)`."
    lines = []
    for title, rows in parts.items():
        lines += [f'{title.capitalize()}:', '', head, '|---' * (head.count('|') - 1) + '|']
        lines += [row(name, r) for name, r in rows.items()]
        lines += ['']
    return lines

@dataclass
class Benchmark:
    "A script: what it measures, and how its page looks."
    script: str       # its `__file__`
    about: str        # its docstring
    parts: dict       # name → function of the options, which measures in this process
    page: object      # from the figures to the page's text
    rounds: int       # of each method in a process
    figures: str = '' # file of the figures; as a rule results_SCRIPT.json
    name: str = ''    # file of the page; as a rule SCRIPT.md
    threads: int = field(default_factory=lambda: min(2, os.cpu_count()))
    once: tuple = ()  # parts with repetitions of their own, measured in one process
    twice: tuple = () # parts that two processes measure together

    def __post_init__(self):
        stem = Path(self.script).stem
        self.figures = self.figures or f'results_{stem}.json'
        self.name = self.name or f'{stem.upper()}.md'

    def options(self, argv=None):
        parser = argparse.ArgumentParser(description=self.about.split('\n\n')[0])
        def number(name, default, text):
            text += ' (default: %(default)s)'
            parser.add_argument(f'--{name}', type=int, default=default, help=text)
        number('processes', 5, 'fresh processes')
        number('rounds', self.rounds, 'rounds of each method in a process')
        number('threads', self.threads, "torch's threads")
        parser.add_argument('--note', help='what else the page should say of the machine')
        parser.add_argument('--quick', action='store_true', help='try it; no figures to keep')
        parser.add_argument('--out', type=Path, default=here, help='folder for the two files')
        parser.add_argument('--only', choices=self.parts, help='measure here, print JSON')
        args = parser.parse_args(argv)
        if args.quick:
            args.processes = args.rounds = args.threads = 1
        return args

    def limits(self, what, args):
        "The threads of a part, as libraries read them when they are loaded."
        threads = 1 if what in self.twice else args.threads
        names = [f'{library}_NUM_THREADS' for library in ('OMP', 'MKL', 'OPENBLAS')]
        return dict.fromkeys(names, str(threads)) | dict(MKL_DYNAMIC='FALSE') # as many, not up to

    def in_fresh_process(self, what, args):
        "The figures of a part from a process of its own."
        command = [self.script, '--only', what, '--rounds', str(args.rounds)]
        command += ['--threads', str(args.threads)] + ['--quick']*args.quick
        if what in self.twice:
            two = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
            command = [*two, *command]
        command = [sys.executable, *command]
        env = os.environ | self.limits(what, args)
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
        return json.loads(done.stdout.splitlines()[-1])

    def measure(self, args):
        "All figures."
        import torch
        torch.set_num_threads(args.threads)
        noted = dict(note=f' {args.note}') if args.note else {}
        found = dict(machine=machine(args.threads) | noted, processes=args.processes)
        found["rounds"] = args.rounds
        for what in self.parts:
            processes = 1 if what in self.once else args.processes
            print(f'{what}: {processes} processes', flush=True)
            if args.quick and what not in self.twice: # a try needs no process of its own
                runs = [json.loads(json.dumps(self.parts[what](args)))]
            else:
                runs = [self.in_fresh_process(what, args) for _ in range(processes)]
            found[what] = runs[0] if what in self.once else combine(runs)
        return found

    def main(self, argv=None):
        "Take the figures and write both files; or one part, for another process."
        args = self.options(argv)
        if args.only: # nothing is loaded yet: a part may measure just that
            os.environ.update(self.limits(args.only, args))
            found = self.parts[args.only](args)
            if found is not None: # of two processes, only one has something to say
                print(json.dumps(found))
            return
        found = self.measure(args)
        (args.out/self.figures).write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
        (args.out/self.name).write_text(self.page(found), encoding='utf-8')
        print(self.page(found))
