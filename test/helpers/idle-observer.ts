/** For tests of what carries a response, not of what is told of it. */
import type { ResponseObserver, ResponsePolicy } from '../../src/upstream/upstream.ts';

/** Wants to know nothing. */
export const IDLE_OBSERVER: ResponseObserver = {
  onAttempt: () => {},
  onReturn: () => {},
  onSigned: () => {},
  onSent: () => {},
  onUnsent: () => {},
  onHead: () => {},
  onBytes: () => {},
  onEnd: () => {},
  onReplayed: () => {},
  onReadOn: () => {},
  onClientBytes: () => {},
};

/** Buffers nothing and adds nothing. */
export const PASS_ON: ResponsePolicy = { bufferBelowBytes: 0, readsOn: false, extraHeaders: () => [] };
