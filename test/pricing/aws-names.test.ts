import { describe, expect, it } from 'vitest';
import { indexListedNames } from '../../src/pricing/aws-names.ts';
import { readSnapshot } from '../../src/pricing/snapshot.ts';

const find = indexListedNames(readSnapshot().models);

describe('a name of the price list', () => {
  it.each([
    ['Nova Pro', 'amazon.nova-pro-v1:0'],
    ['NovaPro', 'amazon.nova-pro-v1:0'],
    ['Nova2.0Lite', 'amazon.nova-2-lite-v1:0'],
    ['Nova Sonic 2.0', 'amazon.nova-2-sonic-v1:0'],
    ['Amazon Nova Canvas', 'amazon.nova-canvas-v1:0'],
    ['NovaMultiModalEmbeddings', 'amazon.nova-2-multimodal-embeddings-v1:0'],
    ['TitanEmbeddingV2-Text', 'amazon.titan-embed-text-v2:0'],
    ['Titan Image Generator G1 v2', 'amazon.titan-image-generator-v2:0'],
    ['AmazonRerank-v1', 'amazon.rerank-v1:0'],
    ['Claude3Haiku', 'anthropic.claude-3-haiku-20240307-v1:0'],
    ['Claude 3.5 Sonnet', 'anthropic.claude-3-5-sonnet-20240620-v1:0'],
    ['Claude 3.5 Sonnet v2', 'anthropic.claude-3-5-sonnet-20241022-v2:0'],
    ['Claude4Sonnet', 'anthropic.claude-sonnet-4-20250514-v1:0'],
    ['Claude Sonnet 4.5 (Amazon Bedrock Edition)', 'anthropic.claude-sonnet-4-5-20250929-v1:0'],
    ['Claude Opus 4', 'anthropic.claude-opus-4-20250514-v1:0'],
    ['Claude Opus 4.1', 'anthropic.claude-opus-4-1-20250805-v1:0'],
    ['Claude Fable 5.1 (Amazon Bedrock Edition)', 'anthropic.claude-fable-5-1'],
    ['Cohere Command R+ (Amazon Bedrock Edition)', 'cohere.command-r-plus-v1:0'],
    ['Cohere Rerank v3.5 (Amazon Bedrock Edition)', 'cohere.rerank-v3-5:0'],
    ['Cohere Embed 3 Model - English (Amazon Bedrock Edition)', 'cohere.embed-english-v3'],
    ['DeepSeek-R1', 'deepseek.r1-v1:0'],
    ['Gemma 3 27B', 'google.gemma-3-27b-it'],
    ['Llama3-1-405B', 'meta.llama3-1-405b-instruct-v1:0'],
    ['Llama 3.2 1B', 'meta.llama3-2-1b-instruct-v1:0'],
    ['Meta Llama 2 Chat 13B (Amazon Bedrock Edition)', 'meta.llama2-13b-chat-v1'],
    ['MiniMax M2.1', 'minimax.minimax-m2.1'],
    ['Mistral Large (24.07)', 'mistral.mistral-large-2407-v1:0'],
    ['Mistral Large 3', 'mistral.mistral-large-3-675b-instruct'],
    ['KimiK2.5', 'moonshotai.kimi-k2.5'],
    ['NVIDIA Nemotron Nano 9B v2', 'nvidia.nemotron-nano-9b-v2'],
    ['openai.gpt-oss-120b', 'openai.gpt-oss-120b-1:0'],
    ['OpenAI GPT-5.6 Terra (Amazon Bedrock Edition)', 'openai.gpt-5.6-terra'],
    ['Qwen3 Coder 480B A35B Instruct', 'qwen.qwen3-coder-480b-a35b-v1:0'],
    ['Qwen3 32B (dense)', 'qwen.qwen3-32b-v1:0'],
    ['xAI Grok 4.7', 'xai.grok-4.7'],
    ['TwelveLabs Pegasus 1.2 (Amazon Bedrock Edition)', 'twelvelabs.pegasus-1-2-v1:0'],
    ['Ray-V2', 'luma.ray-v2:0'],
  ])('%s is %s', (name, id) => {
    expect(find(name)).toEqual({ models: [id], isOptimized: false });
  });

  it.each([
    ['DeepSeek V3.1', ['deepseek.v3-v1:0', 'deepseek.v3.1']],
    ['Kimi K2 Thinking', ['moonshot.kimi-k2-thinking', 'moonshotai.kimi-k2-thinking']],
  ])('%s is called differently by two endpoints', (name, ids) => {
    expect(find(name).models).toEqual(ids);
  });

  it('says whether the model runs at optimised latency', () => {
    expect(find('Nova Pro Latency Optimized')).toEqual({ models: ['amazon.nova-pro-v1:0'], isOptimized: true });
  });

  it.each([
    '',
    'Nova',
    'Nova Pro 3',
    'Claude',
    'Claude Opus',
    'Claude Sonnet 45',
    'Claude Instant (100K)',
    'Llama 3.1',
    '|',
  ])('of %o nobody knows the model', (name) => {
    expect(find(name).models).toEqual([]);
  });

  it('that could be two models is none', () => {
    const ids = ['anthropic.claude-sonnet-9-20290101-v1:0', 'anthropic.claude-sonnet-9-20290909-v1:0'];
    expect(indexListedNames(ids)('Claude Sonnet 9').models).toEqual([]);
  });
});
