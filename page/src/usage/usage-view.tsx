/** What was spent: by day as a plot, by key and by model as tables, and budgets as bars. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { formatCount } from '../format.ts';
import { callAdmin, type KeyList, type KeyRow, nameOfKey, wordsOf } from '../keys/admin.ts';
import { BudgetBar } from '../keys/bar.tsx';
import { MasterGate } from '../keys/master-gate.tsx';
import { SpendPlot } from './plot.tsx';
import { formatUsd, readSeries, type SpendDay, type SpendGrouping } from './spend.ts';

const RANGES = [7, 30, 90] as const;
const DAY_MS = 86_400_000;

/** `GET /global/spend/report?group_by=api_key`. */
interface KeyReport {
  readonly api_key: string;
  readonly total_cost: number | null;
  readonly total_input_tokens: number | null;
  readonly total_output_tokens: number | null;
  readonly unpriced_requests?: number;
  readonly model_details: readonly {
    readonly model: string | null;
    readonly total_cost: number | null;
    readonly total_input_tokens: number | null;
    readonly total_output_tokens: number | null;
  }[];
}

interface Figures {
  readonly days: readonly SpendDay[];
  readonly report: readonly KeyReport[];
  readonly keys: readonly KeyRow[];
}

/** The view `#/usage`. */
export function UsageView(): JSX.Element {
  return (
    <MasterGate what="Usage and budgets">
      <Usage />
    </MasterGate>
  );
}

function Usage(): JSX.Element {
  const days = useSignal<(typeof RANGES)[number]>(30);
  const by = useSignal<SpendGrouping>('model');
  const figures = useSignal<Figures | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const version = useSignal(0);
  const to = new Date().toISOString().slice(0, 10);
  const from = new Date(Date.now() - (days.value - 1) * DAY_MS).toISOString().slice(0, 10);
  useEffect(() => {
    const range = `start_date=${from}&end_date=${to}`;
    Promise.all([
      callAdmin<readonly SpendDay[]>('GET', `/spend/logs?${range}`),
      callAdmin<readonly KeyReport[]>('GET', `/global/spend/report?${range}&group_by=api_key`),
      callAdmin<KeyList>('GET', '/key/list?return_full_object=true&size=100&sort_by=spend'),
    ]).then(
      ([spent, report, { keys }]) => {
        figures.value = { days: spent, report, keys };
        problem.value = undefined;
        return spent;
      },
      (thrown: unknown) => (problem.value = wordsOf(thrown)),
    );
  }, [from, to, version.value]);
  const now = figures.value;
  return (
    <main class="sheet">
      <div class="sheet-head">
        <h2>Usage</h2>
        <span role="group" aria-label="Period" class="body-modes">
          {RANGES.map((range) => (
            <button
              key={range}
              type="button"
              class="button"
              aria-pressed={days.value === range}
              onClick={() => (days.value = range)}
            >
              {range} days
            </button>
          ))}
        </span>
        <span role="group" aria-label="Bars by">
          {(['model', 'key'] as const).map((each) => (
            <button
              key={each}
              type="button"
              class="button"
              aria-pressed={by.value === each}
              onClick={() => (by.value = each)}
            >
              by {each}
            </button>
          ))}
        </span>
        <button type="button" class="button" onClick={() => (version.value += 1)}>
          Reload
        </button>
      </div>
      {problem.value !== undefined && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      {now === undefined && problem.value === undefined && <p class="quiet">Loading …</p>}
      {now !== undefined && <Plot figures={now} by={by.value} range={{ from, to }} />}
      {now !== undefined && <Tables figures={now} />}
    </main>
  );
}

interface PlotProps {
  readonly figures: Figures;
  readonly by: SpendGrouping;
  readonly range: { readonly from: string; readonly to: string };
}

function Plot({ figures, by, range }: PlotProps): JSX.Element {
  const names = new Map(figures.keys.map((row) => [row.token, nameOfKey(row)]));
  const series = readSeries(figures.days, by, range);
  const label = `Spend by day and ${by}, from ${range.from} to ${range.to}: ${formatUsd(series.totalUsd)} in all`;
  return (
    <section aria-label="Spend by day">
      <p>
        <b class="big-number">{formatUsd(series.totalUsd)}</b>{' '}
        <span class="quiet">
          from {range.from} to {range.to} (UTC)
        </span>
        {series.unpricedRequests > 0 && (
          <span class="warn"> · {series.unpricedRequests} requests besides whose price is not known</span>
        )}
      </p>
      <SpendPlot series={series} label={label} />
      <ul class="legend">
        {series.names.map((name, at) => (
          <li key={name}>
            <svg viewBox="0 0 10 10" class="legend-mark" aria-hidden="true">
              <rect class={`series-${at}`} width={10} height={10} />
            </svg>{' '}
            {by === 'key' ? (names.get(name) ?? name.slice(0, 12)) : name}{' '}
            <span class="quiet">{formatUsd(series.totals[at])}</span>
          </li>
        ))}
      </ul>
      <details>
        <summary class="quiet">The same as a table</summary>
        <table class="sheet-table">
          <thead>
            <tr>
              <th scope="col">day</th>
              <th scope="col">spent</th>
            </tr>
          </thead>
          <tbody>
            {series.bars.map(({ day, totalUsd, unpricedRequests }) => (
              <tr key={day}>
                <th scope="row">{day}</th>
                <td class="cell-number">
                  {formatUsd(totalUsd)}
                  {unpricedRequests > 0 && ` + ${unpricedRequests} unknown`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </section>
  );
}

function Tables({ figures: { report, keys } }: { figures: Figures }): JSX.Element {
  const names = new Map(keys.map((row) => [row.token, nameOfKey(row)]));
  const models = addUpModels(report);
  const budgeted = keys.filter(({ max_budget: budget }) => budget !== null);
  return (
    <div class="usage-tables">
      <SpendTable
        title="By key"
        rows={report.map((each) => ({ name: names.get(each.api_key) ?? each.api_key.slice(0, 16), ...each }))}
      />
      <SpendTable title="By model" rows={models} />
      {budgeted.length > 0 && (
        <section>
          <h3>Budgets</h3>
          <table class="sheet-table">
            <tbody>
              {budgeted.map((row) => (
                <tr key={row.token}>
                  <th scope="row">{nameOfKey(row)}</th>
                  <td>
                    <BudgetBar row={row} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}

interface SpendRow {
  readonly name: string;
  readonly total_cost: number | null;
  readonly total_input_tokens: number | null;
  readonly total_output_tokens: number | null;
}

function SpendTable({ title, rows }: { title: string; rows: readonly SpendRow[] }): JSX.Element {
  return (
    <section>
      <h3>{title}</h3>
      {rows.length === 0 ? (
        <p class="quiet">Nothing in this period.</p>
      ) : (
        <table class="sheet-table">
          <thead>
            <tr>
              <th scope="col">{title.slice(3)}</th>
              <th scope="col" class="cell-number">
                spent
              </th>
              <th scope="col" class="cell-number">
                tokens in
              </th>
              <th scope="col" class="cell-number">
                tokens out
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ name, total_cost: cost, total_input_tokens: input, total_output_tokens: output }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="cell-number">{formatUsd(cost)}</td>
                <td class="cell-number">{formatCount(input)}</td>
                <td class="cell-number">{formatCount(output)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** Pure: of all keys together, the most expensive first. Unknown stays unknown, if nothing of it is known. */
function addUpModels(report: readonly KeyReport[]): readonly SpendRow[] {
  const sums = new Map<string, SpendRow>();
  for (const { model_details: details } of report) {
    for (const { model, ...row } of details) {
      const name = model ?? 'no model';
      const before = sums.get(name);
      sums.set(name, {
        name,
        total_cost: add(before?.total_cost, row.total_cost),
        total_input_tokens: add(before?.total_input_tokens, row.total_input_tokens),
        total_output_tokens: add(before?.total_output_tokens, row.total_output_tokens),
      });
    }
  }
  return [...sums.values()].toSorted((left, right) => (right.total_cost ?? 0) - (left.total_cost ?? 0));
}

function add(left: number | null | undefined, right: number | null): number | null {
  if (left === null || left === undefined) return right;
  return right === null ? left : left + right;
}
