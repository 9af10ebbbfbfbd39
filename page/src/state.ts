/** What several views of the page look at. */
import { signal } from '@preact/signals';
import type { InspectorState } from '../../src/inspector/wire.ts';

/** What the server says of itself; undefined: it has not responded yet. */
export const serverState = signal<InspectorState | undefined>(undefined);
/** Whether changes arrive: `live`, on the way to it, or stopped by the reader; `saved`: none ever will. */
export const liveness = signal<'connecting' | 'live' | 'paused' | 'gone' | 'saved'>('connecting');
/** What is wrong with all of the page: no token, a wrong one; undefined: nothing. */
export const refusal = signal<string | undefined>(undefined);
/** Told to screen readers, politely. */
export const announcement = signal('');
/** Something that the reader asked for did not work; undefined: nothing, or he has read it. */
export const failure = signal<string | undefined>(undefined);
