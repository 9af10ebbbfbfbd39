import { describe, expect, it } from 'vitest';
import { splitSessionTag } from '../../../src/domain/role.ts';
import { nameSession, tagSession } from '../../../src/upstream/aws/session.ts';
import { failureOf } from '../../helpers/failure.ts';

const ID = 'vk_0123456789abcdef';

describe('the name of a session', () => {
  it.each([
    { alias: 'search', name: 'search' },
    { alias: 'ann.lee+bedrock@example.com', name: 'ann.lee+bedrock@example.com' },
    { alias: 'a'.repeat(64), name: 'a'.repeat(64) },
    { alias: 'x', name: `x-${ID}` },
    { alias: 'search team', name: `search-team-${ID}` },
    { alias: 'größe', name: `gr--e-${ID}` },
    { alias: 'a'.repeat(65), name: `${'a'.repeat(44)}-${ID}` },
    { alias: 'team/search', name: `team-search-${ID}` },
    { alias: undefined, name: ID },
  ])('is $name for the alias $alias', ({ alias, name }) => {
    expect(nameSession({ alias, id: ID })).toBe(name);
    expect(name).toMatch(/^[\w+=,.@-]{2,64}$/);
  });

  it('is that of the master key and of open mode', () => {
    expect(['master', 'anonymous'].map((id) => nameSession({ id }))).toEqual(['master', 'anonymous']);
  });

  it('keeps two aliases apart that would look the same', () => {
    const names = ['a b', 'a/b'].map((alias, index) => nameSession({ alias, id: `vk_${index}` }));
    expect(new Set(names).size).toBe(2);
  });
});

describe('the tags of a session', () => {
  const tags = { team: 'search', cost: '12 34' };
  const of = (wanted: readonly string[], given: Readonly<Record<string, string>> = tags) =>
    tagSession(wanted.map(splitSessionTag), { id: ID, tags: given });

  it('are those that are wanted and that the key has', () => {
    expect(of([])).toEqual([]);
    expect(of(['team', 'absent'])).toEqual([['team', 'search']]);
    expect(of(['*'])).toEqual([
      ['cost', '12 34'],
      ['team', 'search'],
    ]);
    expect(of(['toString', '__proto__'])).toEqual([]);
  });

  it('have the value that the proxy gives, whatever the key has', () => {
    expect(of(['team=core', '*'])).toEqual([
      ['cost', '12 34'],
      ['team', 'core'],
    ]);
    expect(of(['env=a=b'])).toEqual([['env', 'a=b']]);
  });

  it.each([
    { given: { team: 'a;b' }, says: 'the value of "team" has characters' },
    { given: { 'aws:x': 'y' }, says: '"aws:x" is no name' },
    { given: { Team: 'a', team: 'b' }, says: 'no difference of case' },
    { given: Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`t${at}`, ''])), says: 'more than 50' },
  ])('are refused if AWS would refuse them: $says', async ({ given, says }) => {
    const error = await failureOf(() => of(['*'], given));
    expect([error.code, error.message]).toEqual(['ERR_ROLE_REFUSED', expect.stringContaining(says)]);
  });
});
