/** What a part of the page asks the API for: loading, there, or refused. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { getJson } from '../api.ts';

/** `value` stays while it is asked for again. */
export interface Loaded<Value> {
  readonly value: Value | undefined;
  readonly problem: string | undefined;
  readonly isLoading: boolean;
}

/** JSON of a path of the API, asked for again whenever `version` changes; not at all without a path. */
export function useLoaded<Value>(path: string | undefined, version: unknown): Loaded<Value> {
  const state = useSignal<Loaded<Value>>({ value: undefined, problem: undefined, isLoading: true });
  const shownPath = useRef(path);
  useEffect(() => {
    if (path === undefined) return undefined;
    if (shownPath.current !== path) state.value = { value: undefined, problem: undefined, isLoading: true };
    shownPath.current = path;
    const abort = new AbortController();
    getJson<Value>(path, abort.signal).then(
      (value) => (state.value = { value, problem: undefined, isLoading: false }),
      (thrown: unknown) => {
        if (abort.signal.aborted) return;
        const problem = thrown instanceof Error ? thrown.message : String(thrown);
        state.value = { ...state.value, problem, isLoading: false };
      },
    );
    return () => abort.abort();
  }, [path, version]);
  return state.value;
}
