/** Turns of a conversation and attempts of a request: linked where they are the same, and nowhere else. */
import { describe, expect, it } from 'vitest';
import { ConversationIndex } from '../../src/inspector/conversation.ts';
import { PieceStore } from '../../src/inspector/pieces.ts';
import { readJsonTree } from '../../src/protocol/json-tree.ts';

type Turn = { readonly role: string; readonly content: unknown };

function open() {
  const index = new ConversationIndex();
  let count = 0;
  return (messages: readonly Turn[], caller = 'alice') => {
    const body = Buffer.from(JSON.stringify({ system: 'x', messages }));
    const tree = readJsonTree(body, 3);
    if (tree === undefined) throw new Error('It is JSON.');
    return index.findTurn({ id: `r${(count += 1)}`, caller }, body, tree.root);
  };
}

const user = (text: string, ...more: unknown[]): Turn => ({ role: 'user', content: [{ type: 'text', text }, ...more] });
const assistant = (text: string): Turn => ({ role: 'assistant', content: [{ type: 'text', text }] });

describe('turns', () => {
  it('follow the request whose messages they repeat', () => {
    const find = open();
    expect(find([user('a')])).toEqual({ id: 'r1', turn: 1, previous: undefined });
    expect(find([user('a'), assistant('b'), user('c')])).toEqual({ id: 'r1', turn: 2, previous: 'r1' });
    expect(find([user('a'), assistant('b'), user('c'), assistant('d'), user('e')])).toEqual({
      id: 'r1',
      turn: 3,
      previous: 'r2',
    });
  });

  it('are found at once in a text of a million blanks, which clients may send', () => {
    const find = open();
    const [blank, marked] = [user(' '.repeat(1_000_000)), user('a', { cachePoint: { type: 'default' } })];
    const startedAt = performance.now();
    find([blank]);
    expect(find([blank, marked])).toMatchObject({ turn: 2 });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('are not looked for among more messages than a conversation has', () => {
    expect(open()(Array.from({ length: 6_000 }, () => user('a')))).toBeUndefined();
  });

  it.each([
    { name: 'cache_control', mark: (turn: Turn) => ({ ...turn, cache_control: { type: 'ephemeral', ttl: '1h' } }) },
    { name: 'cachePoint', mark: (turn: Turn) => turn, extra: { cachePoint: { type: 'default' } } },
  ])('follow also if the marker $name has moved on', ({ mark, extra }) => {
    const find = open();
    const marked = (text: string): Turn => mark(extra === undefined ? user(text) : user(text, extra));
    find([marked('a')]);
    expect(find([user('a'), assistant('b'), marked('c')])).toMatchObject({ id: 'r1', turn: 2, previous: 'r1' });
  });

  it('begin anew with other messages, and with another caller', () => {
    const find = open();
    find([user('a')]);
    expect(find([user('z'), assistant('b'), user('c')])).toMatchObject({ turn: 1, previous: undefined });
    expect(find([user('a'), assistant('b'), user('c')], 'bob')).toMatchObject({ turn: 1, previous: undefined });
  });

  it('take text that speaks of markers as text', () => {
    const find = open();
    find([user('"cache_control":{"type":"ephemeral"}')]);
    expect(find([user(''), assistant('b'), user('c')])).toMatchObject({ turn: 1 });
  });
});

const linked = (id: string) => ({ id, caller: 'alice' });

describe('attempts', () => {
  it('are the same bytes after a failure, for two minutes', () => {
    const index = new ConversationIndex();
    expect(index.findAttempt(linked('a'), 'same', 0)).toBeUndefined();
    // It is under way: two at once are no attempts of each other.
    expect(index.findAttempt(linked('b'), 'same', 1)).toBeUndefined();
    index.noteFailure(linked('b'), 'same', 10);
    expect(index.findAttempt(linked('c'), 'same', 20)).toEqual({ number: 2, previous: 'b' });
    index.noteFailure(linked('c'), 'same', 30);
    expect(index.findAttempt(linked('d'), 'other', 40)).toBeUndefined();
    expect(index.findAttempt(linked('e'), 'same', 40)).toEqual({ number: 3, previous: 'c' });
    index.noteFailure(linked('e'), 'same', 50);
    expect(index.findAttempt(linked('f'), 'same', 130_000)).toBeUndefined();
  });
});

describe('common pieces', () => {
  it('are kept once, and put together to the same bytes', () => {
    let taken = 0;
    const room = {
      take: (sizeBytes: number) => {
        taken += sizeBytes;
        return true;
      },
      give: (sizeBytes: number) => void (taken -= sizeBytes),
    };
    const store = new PieceStore(room);
    const turns = Array.from({ length: 100 }, (_, at) => user(`${at} ${'x'.repeat(1_000)}`));
    let naive = 0;
    const bodies = turns.map((_, at) => {
      const body = Buffer.from(
        JSON.stringify({ system: 's'.repeat(5_000), messages: turns.slice(0, at + 1) }, null, 1),
      );
      naive += body.length;
      const tree = readJsonTree(body, 3);
      const cut = tree && store.cut(body, tree.root);
      expect(cut?.read().equals(body)).toBe(true);
      return cut;
    });
    expect(taken).toBeLessThan(naive / 10);
    for (const body of bodies) body?.drop();
    expect(taken).toBe(0);
  });
});
