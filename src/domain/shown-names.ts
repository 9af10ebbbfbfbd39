/** Names as lists show them: short enough for a column, and still what tells one from the other. Pure. */

/** Of a model id, what tells models apart: `us.anthropic.claude-sonnet-4-5-20250929-v1:0` is `claude-sonnet-4-5`. */
export function shortModelName(model: string): string {
  const name = model.replace(/^arn:[^/]*\//, '');
  const bare = name.replace(/^(?:[a-z-]+\.)+(?=[a-z])/, '');
  return (
    bare
      .replace(/-\d{8}(?=-v|$)/, '')
      .replace(/-v\d+(?::\d+)?$/, '')
      .replace(/:\d+$/, '') || name
  );
}

/** `ConverseStream` as `converse-stream`; a request without an operation by its method and path. */
export function shortOperationName({
  operation,
  method,
  path,
}: {
  readonly operation: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
}): string | undefined {
  if (operation === undefined) return path === undefined ? method : `${method ?? ''} ${path}`.trimStart();
  return operation
    .replace('InvokeModelWithResponseStream', 'InvokeStream')
    .replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '-')
    .toLowerCase();
}
