/** What a part of the page asks the API for: loading, there, or refused. */
import { useEffect, useRef } from 'preact/hooks';
import { type Signal, useSignal } from '@preact/signals';
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
  const reload = useRef<() => void>(() => {});
  const asked = useRef(version);
  useEffect(() => {
    if (path === undefined) return undefined;
    state.value = { value: undefined, problem: undefined, isLoading: true };
    const abort = new AbortController();
    reload.current = loadInto(state, path, abort.signal);
    asked.current = version;
    reload.current();
    return () => abort.abort();
  }, [path]);
  useEffect(() => {
    if (asked.current === version) return;
    asked.current = version;
    reload.current();
  }, [version]);
  return state.value;
}

/**
 * A function that loads it. What is under way is not cut off by what asks again, but followed: the response of a long
 * stream would never be there if it grew faster than it loads.
 */
function loadInto<Value>(state: Signal<Loaded<Value>>, path: string, ended: AbortSignal): () => void {
  let isAsking = false;
  let isStale = false;
  const load = async (): Promise<void> => {
    isAsking = true;
    do {
      isStale = false;
      try {
        const value = await getJson<Value>(path, ended);
        if (!ended.aborted) state.value = { value, problem: undefined, isLoading: false };
      } catch (thrown) {
        if (ended.aborted) return;
        const problem = thrown instanceof Error ? thrown.message : String(thrown);
        state.value = { ...state.value, problem, isLoading: false };
      }
    } while (isStale && !ended.aborted);
    isAsking = false;
  };
  return () => {
    if (isAsking) isStale = true;
    else void load();
  };
}
