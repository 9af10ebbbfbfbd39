import { describe, expect, it } from 'vitest';
import { matchOperations } from '../../src/operations/matcher.ts';

const names = (method: string, path: string) =>
  matchOperations(method, path).map(({ service, name }) => `${service.id} ${name ?? '-'}`);

describe('matchOperations', () => {
  it.each([
    ['a label', 'POST', '/model/x/invoke', ['bedrock-runtime InvokeModel']],
    ['a label with escapes', 'POST', '/model/arn%3Aaws%2Fx/converse', ['bedrock-runtime Converse']],
    ['a label that is a literal elsewhere', 'POST', '/model/model/invoke', ['bedrock-runtime InvokeModel']],
    ['no slash where the template has one', 'POST', '/runtimes', ['bedrock-agentcore-control ListAgentRuntimes']],
    ['a slash where the template has none', 'GET', '/foundation-models/', ['bedrock ListFoundationModels']],
    ['the exact slash first', 'POST', '/agents/ABCDEFGHIJ/', ['bedrock-agent PrepareAgent']],
    ['the exact absence of a slash first', 'POST', '/agents/ABCDEFGHIJ', ['bedrock-agent-runtime InvokeInlineAgent']],
    ['a literal before a label', 'POST', '/flows/validate-definition', ['bedrock-agent ValidateFlowDefinition']],
    ['a literal before a slash', 'POST', '/flows/validate-definition/', ['bedrock-agent ValidateFlowDefinition']],
    ['the label where the literal lacks the method', 'GET', '/flows/validate-definition', ['bedrock-agent GetFlow']],
    ['lower case', 'POST', '/agents/A/agentaliases/', ['bedrock-agent ListAgentAliases']],
    ['camel case', 'POST', '/agents/A/agentAliases/B/sessions/C/text', ['bedrock-agent-runtime InvokeAgent']],
    ['a rest', 'DELETE', '/openai/v1/files/x/y/', ['bedrock-runtime -', 'bedrock-mantle -']],
    ['the longest rest', 'PUT', '/openai/v1/agents/sessions/x/y/z', ['bedrock-mantle -']],
    ['a rest with an empty segment', 'GET', '/v1//x', ['bedrock-mantle -']],
    ['a template before a rest', 'GET', '/v1/models', ['bedrock-mantle ListModels']],
    ['a rest that is not reached', 'GET', '/openai/', []],
    ['an empty label', 'POST', '/model//invoke', []],
    ['other letters', 'POST', '/Model/x/invoke', []],
    ['encoded literals', 'POST', '/model/x/%69nvoke', []],
    ['a method in small letters', 'post', '/model/x/invoke', []],
    ['another method', 'GET', '/model/x/invoke', []],
    ['a piece too many', 'POST', '/model/x/invoke/y', []],
    ['a piece too few', 'POST', '/model/x', []],
    ['two slashes at the end', 'POST', '/model/x/invoke//', []],
    ['the root', 'POST', '/', []],
    ['names every object has', 'GET', '/__proto__', []],
    ['names every object has, in a label', 'GET', '/guardrails/__proto__', ['bedrock GetGuardrail']],
    ['names every object has, before others', 'GET', '/constructor/prototype/toString', []],
    ['names every map has', 'GET', '/get/size/has', []],
  ])('matches the template of an operation: %s: %s %s', (_, method, path, expected) => {
    expect(names(method, path)).toEqual(expected);
  });

  it('matches within one service on request, past what other services would have matched first', () => {
    const narrowed = matchOperations('POST', '/agents/ABCDEFGHIJ', 'bedrock-agent');
    expect(narrowed.map(({ name }) => name)).toEqual(['PrepareAgent']);
  });

  it.each([
    ['one long label', `/model/${'a'.repeat(65_536)}/invoke`],
    ['only slashes', `/${'/'.repeat(65_536)}`],
    ['many segments', `/${'a/'.repeat(32_768)}`],
    ['many known segments', `/openai${'/v1'.repeat(20_000)}`],
  ])('matches at once 64 KiB of %s', (_, path) => {
    const before = performance.now();
    for (let round = 0; round < 20; round += 1) matchOperations('POST', path);
    expect(performance.now() - before).toBeLessThan(100);
  });
});
