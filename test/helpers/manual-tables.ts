/**
 * The hand-written routes in the format of the generated tables, so that a test can read both alike.
 */
import { type ServiceRows } from '../../src/operations/facts.ts';
import { ROWS } from '../../src/operations/rows.ts';

/** One table a service: its operations as lines of method, template, name and flags. */
export const MANUAL_TABLES = Object.entries(ROWS).flatMap(([id, rows]: [string, ServiceRows]) => {
  const lines = rows.flatMap(([name, { routes = [] }]) =>
    routes.map((route) => {
      const [method, template, ...flags] = route.split(' ');
      return [method, template, name, ...flags].join(' ');
    }),
  );
  return lines.length === 0 ? [] : [{ id, operations: lines.join('\n') }];
});
