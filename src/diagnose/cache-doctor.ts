/**
 * The cache doctor: is told of each prompt that is sent and of how it ended, and says why its cache was read or not.
 * Works on fingerprints, keeps no content, and its memory is bounded. Whoever has both bodies can have the texts of a
 * change besides. Must be told of the ends in their order; asks nobody, waits for nothing, throws never.
 */
import { exactUsd } from '../lib/usd.ts';
import type { Usage } from '../domain/usage.ts';
import type { ModelPrice } from '../pricing/cost.ts';
import { readCachePrompt } from './cache-blocks.ts';
import { type PrintedBlock, readChangeTexts } from './cache-changes.ts';
import { CACHE_FACTS, type CacheFacts, findCacheFacts, type MarkerTtl } from './cache-facts.ts';
import { CacheMemory, type CacheScope, type PastPrompt } from './cache-memory.ts';
import { type CacheMoney, reckonCache } from './cache-money.ts';
import { chainPrefixes, Fingerprints } from './cache-prints.ts';
import { type CacheConfidence, type CacheFinding, type CacheVerdict, findVerdict, sizeUpTo } from './cache-verdict.ts';
import { adviceOf, describeLoss, LOSSES, saysOf } from './cache-words.ts';

/** A prompt that is sent. */
export interface SentPrompt {
  readonly id: string;
  readonly caller: string;
  readonly scope: CacheScope;
  readonly operation: string | undefined;
  readonly body: Buffer;
  readonly sentAtMs: number;
}

/** How it ended. */
export interface EndedPrompt {
  readonly status: number | undefined;
  readonly errorMessage: string | undefined;
  readonly usage: Usage | undefined;
  /** By which its cost was found. */
  readonly price: ModelPrice | undefined;
}

/** For the ledger and the log. */
export interface CacheDiagnosis {
  readonly verdict: CacheVerdict;
  readonly confidence: CacheConfidence;
  /** Undefined: nothing, or nobody knows. */
  readonly lostNanoUsd: number | undefined;
  /** A line for the log; undefined: nothing worth one. */
  readonly line: string | undefined;
}

/** What the page and the API show; as `CacheView` of `inspector/wire.ts`, in whose row of imports this is not. */
export interface CacheReport {
  readonly verdict: CacheVerdict;
  readonly confidence: CacheConfidence;
  readonly says: string;
  readonly advice: string | null;
  readonly pointer: string | null;
  /** The first byte, and the one after the last. */
  readonly bytes: readonly [number, number] | null;
  readonly previous_bytes: readonly [number, number] | null;
  readonly change: string | null;
  readonly before: string | null;
  readonly after: string | null;
  readonly previous: string | null;
  readonly segments: readonly {
    readonly pointer: string;
    readonly size_bytes: number;
    readonly state: 'hit' | 'written' | 'changed' | 'same' | 'after';
    readonly has_marker: boolean;
  }[];
  readonly money: {
    readonly actual_usd: string | null;
    readonly with_hit_usd: string | null;
    readonly without_markers_usd: string | null;
    readonly lost_usd: string | null;
  };
}

interface Known {
  readonly finding: CacheFinding;
  readonly money: CacheMoney;
}

const MAX_FINDINGS = 1_000;
/** Larger bodies are not looked into. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** Nor are prompts of more pieces: no conversation has so many. */
const MAX_BLOCKS = 5_000;
/** Of a prompt that is new, so much is looked into: some 50 ms. */
const MAX_SCANNED_BYTES = 512 * 1024;

/** One for a process. */
export class CacheDoctor {
  readonly facts: CacheFacts;
  readonly #prints: Fingerprints;
  readonly #memory = new CacheMemory();
  /** By id; the oldest first. */
  readonly #findings = new Map<string, Known>();

  constructor({ facts = CACHE_FACTS, key }: { readonly facts?: CacheFacts; readonly key?: Buffer } = {}) {
    this.facts = facts;
    this.#prints = new Fingerprints(key);
  }

  /** Takes some milliseconds for a large body that is new; false if it is no prompt. The body is not kept. */
  sent({ id, caller, scope, operation, body, sentAtMs }: SentPrompt): boolean {
    const read = body.length > MAX_BODY_BYTES ? undefined : readCachePrompt(body, operation);
    if (read === undefined || read.blocks.length > MAX_BLOCKS) return false;
    const until = this.#prints.scannedBytes + MAX_SCANNED_BYTES;
    // Only what a marker covers is lost by a change.
    const last = read.blocks.findLastIndex(({ marker }) => marker !== undefined);
    const blocks = read.blocks.map((block, index): PrintedBlock => {
      // A role may be any text of the client's.
      const { name: _name, description: _description, role: _role, ...place } = block;
      const isDetailed = index <= last && this.#prints.scannedBytes < until;
      return { ...place, print: this.#prints.of(body, block, isDetailed) };
    });
    this.#memory.add({
      id,
      caller,
      scope,
      dialect: read.dialect,
      foreignMarkers: read.foreignMarkers,
      misplacedMarkers: read.misplacedMarkers,
      blocks,
      prefixes: chainPrefixes(blocks.map(({ print }) => print)),
      params: this.#prints.ofText(`${read.params}\n${blocks.some(({ hasMedia }) => hasMedia)}`),
      sentAtMs,
      begunAtMs: undefined,
      cached: undefined,
    });
    return true;
  }

  /** Its response begins: from here on, others can read what it has written. */
  begun(id: string, atMs: number): void {
    const prompt = this.#memory.find(id);
    if (prompt !== undefined) prompt.begunAtMs ??= atMs;
  }

  /** Undefined: nothing is to be said of it. Once. */
  ended(id: string, outcome: EndedPrompt): CacheDiagnosis | undefined {
    const prompt = this.#memory.find(id);
    if (prompt === undefined) return undefined;
    const finding = findVerdict(prompt, outcome, this.#memory, this.facts);
    this.#learn(prompt, outcome, finding?.hitIndex);
    if (finding === undefined) return undefined;
    const money = reckonCache(outcome.usage, outcome.price, finding.lostTokens);
    this.#findings.set(id, { finding, money });
    const [oldest] = this.#findings.keys();
    if (this.#findings.size > MAX_FINDINGS && oldest !== undefined) this.#findings.delete(oldest);
    const { verdict, confidence, lostTokens } = finding;
    const isLoss = LOSSES.has(verdict) && lostTokens > 0;
    return {
      verdict,
      confidence,
      lostNanoUsd: isLoss ? money.lost : undefined,
      line: isLoss ? describeLoss(finding, prompt, money.lost) : undefined,
    };
  }

  /** Undefined: it was no prompt, has not ended, or is forgotten. */
  verdictOf(id: string): CacheReport | undefined {
    const [known, prompt] = [this.#findings.get(id), this.#memory.find(id)];
    return known && prompt && this.#describe(known, prompt);
  }

  /** With both texts of the change, and the very bytes; as it is if there is no change. */
  withTexts(report: CacheReport, body: Buffer, previousBody: Buffer): CacheReport {
    const { bytes, previous_bytes: previousBytes } = report;
    if (report.change === null || bytes === null) return report;
    const isExact = ['timestamp', 'uuid', 'counter'].includes(report.change);
    const change = { bytes, previousBytes: previousBytes ?? undefined, isExact };
    const texts = readChangeTexts(change, body, previousBody);
    return {
      ...report,
      bytes: texts.bytes,
      previous_bytes: previousBytes === null ? null : texts.previousBytes,
      before: previousBytes === null ? null : texts.before,
      after: texts.after,
    };
  }

  /** What is remembered. */
  get sizes(): CacheMemory['sizes'] & { readonly printBytes: number } {
    return { ...this.#memory.sizes, printBytes: this.#prints.sizeBytes };
  }

  /** What the cache holds from now on, if this request filled it. */
  #learn(prompt: PastPrompt, { status = 0, usage }: EndedPrompt, hitIndex: number | undefined): void {
    if (status === 0 || status >= 400 || usage === undefined) return;
    const [read, written] = [usage.cacheReadTokens ?? 0, usage.cacheWriteTokens ?? 0];
    prompt.cached = { read, written };
    prompt.begunAtMs ??= prompt.sentAtMs;
    const last = prompt.blocks.findLastIndex(({ marker }) => marker !== undefined);
    if (last === -1 || read + written === 0) return;
    const all = sizeUpTo(prompt.blocks, last + 1);
    const minTokens = findCacheFacts(this.facts, prompt.scope.model)?.minTokens ?? 0;
    for (const [index, { marker, field }] of prompt.blocks.entries()) {
      // What was read lives on, also if it has no marker any more.
      const ttl = marker ?? (read > 0 && index === hitIndex ? this.#findTtl(prompt, index) : undefined);
      if (ttl === undefined) continue;
      const tokens = Math.round(((read + written) * sizeUpTo(prompt.blocks, index + 1)) / all);
      if (index !== last && tokens < minTokens) continue;
      const { id, scope, params, sentAtMs, begunAtMs = sentAtMs } = prompt;
      const entry = {
        id,
        scope,
        ttl,
        params,
        tokens,
        writtenAtMs: sentAtMs,
        usableAtMs: begunAtMs,
        usedAtMs: sentAtMs,
        endsAtMs: sentAtMs + this.facts.ttlMs[ttl],
      };
      this.#memory.keep(prompt.prefixes[index] ?? '', entry, field === 'messages');
    }
  }

  #findTtl({ blocks, scope, prefixes, params }: PastPrompt, index: number): MarkerTtl | undefined {
    const own = blocks[index]?.field === 'messages' ? params : '';
    return this.#memory.findEntry(scope, prefixes[index] ?? '', own)?.ttl;
  }

  #describe({ finding, money }: Known, prompt: PastPrompt): CacheReport {
    const { verdict, confidence, change, previous } = finding;
    const block = change && prompt.blocks[change.index];
    const facts = findCacheFacts(this.facts, prompt.scope.model);
    return {
      verdict,
      confidence,
      says: saysOf(finding, prompt, this.facts),
      advice: adviceOf(finding, prompt, facts?.ttls.includes('1h') === true) ?? null,
      pointer: block?.pointer ?? finding.pointer ?? finding.markAfter ?? null,
      bytes: change?.bytes ?? null,
      previous_bytes: change?.previousBytes ?? null,
      change: change?.kind ?? null,
      before: null,
      after: null,
      previous: previous ?? null,
      get segments() {
        return segmentsOf(finding, prompt);
      },
      money: {
        actual_usd: usdOf(money.actual),
        with_hit_usd: usdOf(money.withHit),
        without_markers_usd: usdOf(money.withoutMarkers),
        lost_usd: LOSSES.has(verdict) && finding.lostTokens > 0 ? usdOf(money.lost) : null,
      },
    };
  }
}

function usdOf(nanoUsd: number | undefined): string | null {
  return nanoUsd === undefined ? null : exactUsd(nanoUsd);
}

function segmentsOf({ change, hitIndex = -1 }: CacheFinding, prompt: PastPrompt): CacheReport['segments'] {
  const last = prompt.blocks.findLastIndex(({ marker }) => marker !== undefined);
  const { read = 0, written = 0 } = prompt.cached ?? {};
  const changedAt = change?.index ?? Number.POSITIVE_INFINITY;
  return prompt.blocks.map(({ pointer, span: [from, to], marker }, index) => {
    const isRead = read > 0 && index <= hitIndex;
    const isBefore = index < changedAt && change !== undefined;
    const state = isRead
      ? 'hit'
      : index === changedAt
        ? 'changed'
        : index > last
          ? 'after'
          : isBefore && read === 0
            ? 'same'
            : written > 0
              ? 'written'
              : 'same';
    return { pointer, size_bytes: to - from, state, has_marker: marker !== undefined };
  });
}
