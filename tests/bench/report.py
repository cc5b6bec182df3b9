#!/usr/bin/env python3
#
# Benchmark: tables, plot and comparison from measurements
#
# Reads what af-xdp-bench wrote as JSON. Standard library only.
#
# SPDX-License-Identifier: GPL-2.0-or-later

'''Medians, spread, ratios and a plot of benchmark results.'''

import argparse
import json
import statistics
import sys
from xml.sax.saxutils import escape

# Bytes of the legend's colours: distinct also in grey.
COLOURS = ['#888888', '#1b6ca8', '#d95f02', '#7570b3', '#e7298a', '#66a61e',
           '#a6761d', '#000000']

# A share of time that threads of the benchmark waited for a processor, above
# which somebody else must have been running. With few processors the senders
# share theirs with guest drivers, which take some percent of it.
WAIT_LIMIT = 0.05
FAR_WAIT_LIMIT = 0.20
STOLEN_LIMIT = 0.02

# What guest zero-copy is to reach with one queue, for frames of so many bytes:
# a ratio to the floor, and of processor time to the path that copies.
FLOOR_TARGET = 0.95
CPU_TARGETS = {64: 1.0, 1500: 0.75, 9000: 0.5}


class Cell:
    '''All measurements of one backend at one point.'''

    def __init__(self, runs):
        self.errors = [r['error'] for r in runs if 'error' in r]
        self.runs = [r for r in runs if 'error' not in r]

    def median(self, key):
        '''Median of a value, or None.'''
        if not self.runs:
            return None
        return statistics.median(r[key] for r in self.runs)

    def spread(self, key):
        '''(max - min) / median of a value.'''
        middle = self.median(key)
        if not middle:
            return 0
        values = [r[key] for r in self.runs]
        return (max(values) - min(values)) / middle

    def wrong(self):
        '''Frames with wrong contents, length or order.'''
        return sum(r['bad'] + r['misplaced'] for r in self.runs)


class Results:
    '''One run of the benchmark.'''

    def __init__(self, path):
        with open(path, encoding='utf-8') as f:
            self.data = json.load(f)
        if self.data.get('format') != 1:
            raise ValueError(f'{path}: not a result of this benchmark')
        groups = {}
        for r in self.data['results']:
            point = (r['scenario'], r['queues'], r['size'], r['ring'])
            groups.setdefault((point, r['backend']), []).append(r)
        self.cells = {k: Cell(v) for k, v in groups.items()}
        scenarios = list(self.data['scenarios'])
        # The floor has no rings: its cells stand beside both formats.
        self.points = sorted({p for p, _ in self.cells},
                             key=lambda p: (p[1], scenarios.index(p[0]),
                                            p[2], p[3] != 'split'))
        self.backends = [b for b in self.data['backends']
                         if any(c == b for _, c in self.cells)]

    def cell(self, point, backend):
        '''The cell, or None if that was not measured.'''
        if backend == 'floor':
            point = point[:3] + ('split',)
        return self.cells.get((point, backend))


def value_key(scenario):
    '''What a scenario is about: the key, its unit and divisor.'''
    if scenario.startswith('rtt'):
        return 'p50_us', 'us', 1
    if scenario == 'both':
        return 'both_pps', 'Mpps', 1e6
    if scenario.startswith('tx'):
        return 'tx_pps', 'Mpps', 1e6
    return 'rx_pps', 'Mpps', 1e6


def add_derived(results):
    '''Values that are sums of others.'''
    for r in results.data['results']:
        if 'error' not in r:
            r['both_pps'] = r['rx_pps'] + r['tx_pps']


def point_name(point):
    '''A row's name.'''
    scenario, queues, size, ring = point
    name = f'{scenario} {size}'
    if queues > 1:
        name += f' x{queues}'
    if ring != 'split':
        name += f' {ring}'
    return name


def print_table(head, rows):
    '''Columns as wide as they must be, numbers to the right.'''
    widths = [max(len(r[i]) for r in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        print('  '.join(c.ljust(w) if i == 0 else c.rjust(w)
                        for i, (c, w) in enumerate(zip(row, widths))).rstrip())
    print()


def throughput_table(results, limit):
    '''Medians, with the ratio to the floor and a mark for spread.'''
    rows = []
    for point in results.points:
        key, _, div = value_key(point[0])
        if key == 'p50_us':
            continue
        floor = results.cell(point, 'floor')
        base = floor.median(key) if floor else None
        row = [point_name(point)]
        for backend in results.backends:
            cell = results.cell(point, backend)
            middle = cell.median(key) if cell else None
            if middle is None:
                row.append('failed' if cell else '-')
                continue
            text = f'{middle / div:.3f}'
            if base and backend != 'floor' and not point[0].endswith('300'):
                text += f' {middle / base:4.2f}'
            text += '!' if cell.spread(key) > limit else ' '
            row.append(text)
        rows.append(row)
    if rows:
        print('Frames per second, in millions (second number: ratio to the '
              'floor;\n! = spread of the measurements above '
              f'{limit:.0%} of the median)\n')
        print_table([''] + results.backends, rows)


def latency_table(results, limit):
    '''Round trip times.'''
    rows = []
    for point in results.points:
        if not point[0].startswith('rtt'):
            continue
        row = [point_name(point)]
        for backend in results.backends:
            cell = results.cell(point, backend)
            if not cell or cell.median('p50_us') is None:
                row.append('failed' if cell else '-')
                continue
            mark = '!' if cell.spread('p50_us') > limit else ' '
            row.append(f"{cell.median('p50_us'):.1f} / "
                       f"{cell.median('p99_us'):.1f}{mark}")
        rows.append(row)
    if rows:
        print('Round trip in microseconds: p50 / p99\n')
        print_table([''] + results.backends, rows)


def cpu_table(results):
    '''Time of the process that moves the frames.'''
    backends = [b for b in results.backends if b != 'floor']
    rows = []
    for point in results.points:
        row = [point_name(point)]
        for backend in backends:
            cell = results.cell(point, backend)
            if not cell or cell.median('cpu_ns') is None:
                row.append('-')
                continue
            row.append(f"{cell.median('cpu_ns'):.0f} "
                       f"({cell.median('user_ns'):.0f} + "
                       f"{cell.median('system_ns'):.0f})")
        rows.append(row)
    if rows and backends:
        print('Processor time of the QEMU process in ns for each frame, '
              'either direction\n(user + system; with testpmd that process, '
              'which polls)\n')
        print_table([''] + backends, rows)


def zero_copy_table(results):
    '''What guest zero-copy gains, and whether it is what it should be.'''
    rows = []
    for point in results.points:
        floor, vhost, direct = (results.cell(point, b) for b in
                                ('floor', 'vhost', 'zero-copy'))
        if not direct or direct.median('cpu_ns') is None:
            continue
        key = value_key(point[0])[0]
        saturated = point[0] in ('rx', 'tx') and point[1] == 1
        row = [point_name(point)]
        for other, what, wanted in (
                (floor, key, FLOOR_TARGET if saturated and
                 (point[0] == 'rx' or point[2] <= 1514) else None),
                (vhost, key, None),
                (vhost, 'cpu_ns', CPU_TARGETS.get(point[2]) if saturated
                 else None)):
            base = other.median(what) if other else None
            if not base:
                row += ['-', '']
                continue
            ratio = direct.median(what) / base
            good = wanted is None or (ratio <= wanted if what == 'cpu_ns'
                                      else ratio >= wanted)
            sign = '<=' if what == 'cpu_ns' else '>='
            row += [f'{ratio:.2f}', '' if wanted is None else
                    f"{sign} {wanted:.2f} {'met' if good else 'MISSED'}"]
        rows.append(row)
    if rows:
        print('Guest zero-copy: frames per second, or round trip, as a ratio '
              'to the floor and\nto vhost, which copies; processor time of the '
              'QEMU process for each frame as a\nratio to vhost\n')
        print_table(['', 'floor', 'target', 'vhost', '', 'cpu', 'target'],
                    rows)


def kick_table(results):
    '''What a kick costs.'''
    costs = results.data.get('kick_cost') or {}
    rows = [[b, f"{c['qtest_ns'] / 1e3:.1f}", f"{c['qtest_cpu_ns'] / 1e3:.1f}",
             f"{c['eventfd_ns'] / 1e3:.2f}" if c['eventfd_ns'] else 'none',
             f"{c['eventfd_cpu_ns'] / 1e3:.1f}"]
            for b, c in costs.items()]
    if rows:
        print('One kick of an idle device, in microseconds: of the driver, '
              'and of QEMU\n')
        print_table(['', 'qtest', '(QEMU)', 'eventfd', '(QEMU)'], rows)


def noise(results, limit):
    '''Reasons not to trust the figures, as lines of text.'''
    out = []
    wide = []
    for (point, backend), cell in sorted(results.cells.items()):
        key = value_key(point[0])[0]
        name = f'{backend} {point_name(point)}'
        if cell.errors:
            out.append(f'{name}: {len(cell.errors)} failed: '
                       f'{cell.errors[0].splitlines()[0]}')
        if cell.wrong():
            out.append(f'{name}: {cell.wrong()} frames with wrong contents, '
                       'length or order')
        if cell.spread(key) > limit:
            wide.append(f'{name} ({cell.spread(key):.0%})')
    if wide:
        out.append(f'spread above {limit:.0%}: ' + ', '.join(wide))
    for key, bound, what in (
            ('wait_share', WAIT_LIMIT, 'what is measured'),
            ('far_wait_share', FAR_WAIT_LIMIT, 'the sender'),
            ('stolen_share', STOLEN_LIMIT, 'this virtual machine')):
        # With two queues on two processors they wait for each other.
        runs = [r for r in results.data['results'] if key in r and
                (r['queues'] == 1 or key == 'stolen_share')]
        bad = [r for r in runs if r[key] > bound]
        if bad:
            out.append(f'{len(bad)} of {len(runs)} measurements: {what} '
                       f'waited for a processor more than {bound:.0%} of the '
                       'time, so something else was running')
    slow = [r for r in results.data['results']
            if r['scenario'] in ('rx', 'both') and r['size'] <= 1514 and
            not r.get('live_frames', True)]
    if slow:
        out.append('the kernel has no live frames for BPF_PROG_TEST_RUN: '
                   'the sender was the slow one')
    # The benchmark's own load is not in it: it is read before the first run.
    load = results.data['machine']['load']
    if load > 0.3:
        out.append(f'load average was {load} at the start; an idle machine '
                   'has less than 0.3')
    return out


def compare(old, new, limit):
    '''Changes beyond the spread; returns how many got worse.'''
    rows = []
    worse = 0
    for point in new.points:
        for backend in new.backends:
            a, b = old.cell(point, backend), new.cell(point, backend)
            keys = [value_key(point[0])[0]]
            keys += ['cpu_ns'] if backend != 'floor' else []
            for key in keys:
                x = a.median(key) if a else None
                y = b.median(key) if b else None
                if not x or not y:
                    continue
                change = y / x - 1
                bound = max(limit, a.spread(key), b.spread(key))
                if abs(change) <= bound:
                    continue
                better = (change > 0) == key.endswith('pps')
                worse += not better
                rows.append([f'{backend} {point_name(point)}', key, f'{x:.1f}',
                             f'{y:.1f}', f'{change:+.0%}',
                             'better' if better else 'worse'])
    if rows:
        print('Changes beyond the spread\n')
        print_table(['', 'value', 'before', 'now', '', ''], rows)
    else:
        print(f'No change beyond {limit:.0%} or the spread.\n')
    return worse


def svg_group(out, results, points, box, title):
    '''One bar chart; box is (x, y, width, height).'''
    x0, y0, width, height = box
    keys = [value_key(p[0]) for p in points]
    values = {}
    for point, (key, _, div) in zip(points, keys):
        for backend in results.backends:
            cell = results.cell(point, backend)
            middle = cell.median(key) if cell else None
            if middle is not None:
                runs = [r[key] / div for r in cell.runs]
                values[point, backend] = (middle / div, min(runs), max(runs))
    top = max([v[2] for v in values.values()] or [1]) * 1.1 or 1
    out.append(f'<text x="{x0}" y="{y0 - 12}" font-weight="bold">'
               f'{escape(title)}</text>')
    for i in range(5):
        y = y0 + height * (1 - i / 4)
        out.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + width}" '
                   f'y2="{y:.1f}" stroke="#dddddd"/>'
                   f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">'
                   f'{top * i / 4:.2f}</text>')
    step = width / len(points)
    bar = step * 0.8 / len(results.backends)
    for i, point in enumerate(points):
        left = x0 + i * step + step * 0.1
        out.append(f'<text x="{left + step * 0.4:.1f}" '
                   f'y="{y0 + height + 16}" text-anchor="middle">'
                   f'{escape(point_name(point))}</text>')
        for j, backend in enumerate(results.backends):
            if (point, backend) not in values:
                continue
            value, low, high = (v / top * height
                                for v in values[point, backend])
            x = left + j * bar
            mid = x + bar * 0.45
            out.append(f'<rect x="{x:.1f}" y="{y0 + height - value:.1f}" '
                       f'width="{bar * 0.9:.1f}" height="{value:.1f}" '
                       f'fill="{COLOURS[j % len(COLOURS)]}"/>'
                       f'<line x1="{mid:.1f}" x2="{mid:.1f}" '
                       f'y1="{y0 + height - low:.1f}" '
                       f'y2="{y0 + height - high:.1f}" stroke="#000000"/>')


def write_svg(results, path):
    '''Bars of medians with the range of the measurements.'''
    charts = []
    for scenario, title in results.data['scenarios'].items():
        points = [p for p in results.points if p[0] == scenario]
        if points:
            unit = value_key(scenario)[1]
            unit = 'p50 in us' if unit == 'us' else unit
            charts.append((f'{title} ({unit})', points))
    width, height, pad = 420, 180, 70
    rows = (len(charts) + 1) // 2
    full = (2 * (width + pad) + 40, rows * (height + 2 * pad) + 50)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{full[0]}" '
           f'height="{full[1]}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="#ffffff"/>']
    for i, backend in enumerate(results.backends):
        title = results.data['backends'][backend]
        x = 20 + i * (full[0] - 40) / len(results.backends)
        out.append(f'<rect x="{x:.0f}" y="14" width="12" height="12" '
                   f'fill="{COLOURS[i % len(COLOURS)]}"/>'
                   f'<text x="{x + 17:.0f}" y="24">{escape(title)}</text>')
    for i, (title, points) in enumerate(charts):
        box = (pad + i % 2 * (width + pad),
               50 + pad // 2 + i // 2 * (height + 2 * pad), width, height)
        svg_group(out, results, points, box, title)
    out.append('</svg>')
    with open(path, 'w', encoding='utf-8') as f:
        f.write('\n'.join(out) + '\n')


def main():
    '''The program.'''
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('results', help='JSON file of af-xdp-bench')
    parser.add_argument('--svg', metavar='FILE', help='write a plot')
    parser.add_argument('--compare', metavar='FILE',
                        help='earlier results; the exit code is 3 if '
                        'something got worse')
    parser.add_argument('--spread', type=float, default=0.10, metavar='X',
                        help='share of the median that measurements may '
                        'differ by (0.10)')
    parser.add_argument('--strict', action='store_true',
                        help='exit code 4 if the results are noisy')
    args = parser.parse_args()

    try:
        results = Results(args.results)
        old = Results(args.compare) if args.compare else None
    except (OSError, ValueError, KeyError) as e:
        print(f'error: {e}', file=sys.stderr)
        return 2
    add_derived(results)

    machine = results.data['machine']
    settings = results.data['settings']
    print(f"{machine['cpus']} x {machine['cpu']}, Linux {machine['kernel']}; "
          f"medians of {settings['repeat']}, {settings['duration']} s each\n")
    throughput_table(results, args.spread)
    latency_table(results, args.spread)
    cpu_table(results)
    zero_copy_table(results)
    kick_table(results)
    worse = 0
    if old:
        add_derived(old)
        worse = compare(old, results, args.spread)
    if args.svg:
        write_svg(results, args.svg)
        print(f'Plot: {args.svg}')
    doubts = noise(results, args.spread)
    if doubts:
        print('DO NOT QUOTE THESE FIGURES:')
        for line in doubts:
            print(f'  - {line}')
    if doubts and args.strict:
        return 4
    return 3 if worse else 0


if __name__ == '__main__':
    sys.exit(main())
