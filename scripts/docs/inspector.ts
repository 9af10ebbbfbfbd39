/** The paths of the inspector's API, made of the table that is served. Pure. */
import { INSPECTOR_ENDPOINTS } from '../../src/inspector-api/router.ts';
import { renderCode, renderTable } from './markdown.ts';

/** One row per endpoint. */
export function renderInspectorPaths(): string {
  const rows = INSPECTOR_ENDPOINTS.map(({ method, path, summary, query = [] }) => {
    const parameters = query.length === 0 ? '' : `?${query.map((name) => `${name}=`).join('&')}`;
    return [renderCode(`${method} ${path}${parameters}`), summary];
  });
  return renderTable(['below `/inspect/api/v1/`', 'what it does'], rows);
}
