/**
 * Keys of the page. Single letters work only where no text is typed, and can be switched off (WCAG 2.1.4); Tab, Enter,
 * Space and Escape keep what they mean in a browser.
 */
import { signal } from '@preact/signals';

const STORED = 'bedrock-proxy-inspect-keys';

/** Whether single letters do something. */
export const hasLetterKeys = signal(readSwitch());

function readSwitch(): boolean {
  try {
    return localStorage.getItem(STORED) !== 'off';
  } catch {
    return true;
  }
}

/** At the next visit too. */
export function setLetterKeys(isOn: boolean): void {
  hasLetterKeys.value = isOn;
  try {
    localStorage.setItem(STORED, isOn ? 'on' : 'off');
  } catch {
    // It counts until the page is left.
  }
}

/** What a key does; `isLetter`: it can be switched off. */
export interface KeyBinding {
  /** As `KeyboardEvent.key` has it. */
  readonly keys: readonly string[];
  readonly does: string;
  readonly run: () => void;
}

const SCROLLING: ReadonlySet<string> = new Set(['ArrowUp', 'ArrowDown', 'PageUp', 'PageDown', 'Home', 'End', ' ']);
const bindings = new Set<readonly KeyBinding[]>();

/** From now on these count; gives the function that ends it. */
export function bindKeys(added: readonly KeyBinding[]): () => void {
  bindings.add(added);
  return () => void bindings.delete(added);
}

/** All that count now. */
export function listBindings(): readonly KeyBinding[] {
  return [...bindings].flat();
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (isTyping(target) || document.querySelector('dialog[open]') !== null) return;
  const isLetter = event.key.length === 1;
  if (isLetter && !hasLetterKeys.value) return;
  // What is read is scrolled by them.
  if (SCROLLING.has(event.key) && target instanceof Element && target.closest('.details, .menu-body') !== null) return;
  // On a button, Enter and Space are the button's.
  if (
    (event.key === 'Enter' || event.key === ' ') &&
    target instanceof HTMLElement &&
    target.matches('button, a, summary, input, [role=tab]')
  )
    return;
  const found = listBindings().findLast(({ keys }) => keys.includes(event.key));
  if (found === undefined) return;
  event.preventDefault();
  found.run();
});

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('input:not([type=checkbox]), textarea, select'))
  );
}
