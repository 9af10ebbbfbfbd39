/** What became of what a button began: shown above the tabs, and read out. */
import { signal } from '@preact/signals';
import { describeFailure } from '../api.ts';
import { announcement } from '../state.ts';

/** What is shown; undefined: nothing. */
export const told = signal<string | undefined>(undefined);

/** From now on this is shown. */
export function tell(text: string): void {
  told.value = text;
  announcement.value = text;
}

/** Waits for it; a failure is told, not thrown. */
export async function tellFailure(task: Promise<unknown>): Promise<void> {
  try {
    await task;
  } catch (thrown) {
    tell(describeFailure(thrown));
  }
}
