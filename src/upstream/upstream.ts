/**
 * What an upstream does: it signs and sends one attempt, and lets the response flow to the client. Types only. `aws/`
 * implements it; the offline Bedrock is reached the same way, on a connection of its own (`offline/`).
 */
import type { FailedAttempt } from '../domain/request-record.ts';
import type { Body } from '../http/body.ts';
import type { ClientRequest, ClientResponse, HeaderPair } from '../http/message.ts';
import type { Principal } from '../domain/principal.ts';
import type { Frame } from '../protocol/event-stream.ts';
import type { Route } from '../routing/route.ts';

/** A request made ready once, however many attempts send it: what does not depend on the upstream. */
export interface PreparedRequest {
  readonly route: Route;
  /** The client's end-to-end headers, as they came; without `host`, and without any authorization. */
  readonly headers: readonly HeaderPair[];
  readonly body: Body;
  /** The `Authorization` value of a client that may use its own OAuth token; undefined: the upstream signs. */
  readonly oauthAuthorization: string | undefined;
}

/** One way for a request: an upstream, and the route that leads there. */
export interface Way {
  /** Its name; undefined if there is only one. */
  readonly upstream: string | undefined;
  readonly route: Route;
}

/** What decides which way a request goes first. */
export interface Conversation {
  /** Whose it is: the id of a key, or another kind of caller. */
  readonly owner: string;
  /** As the request names it; undefined if it names none. */
  readonly model: string | undefined;
  /** Those in its body besides. */
  readonly otherModels: readonly string[];
  /** What it names or makes is in one region of one account: a guardrail, a response that is stored. */
  readonly staysHome: boolean;
}

/** One try to send a prepared request. Host, region, credentials and signature belong to it. */
export interface Attempt {
  /** On whose behalf. */
  readonly principal: Principal;
  readonly prepared: PreparedRequest;
  readonly clientRequest: ClientRequest;
  readonly clientResponse: ClientResponse;
  /** Those of `findWays` that the caller may go, one at least. */
  readonly ways: readonly Way[];
  readonly conversation: Conversation;
  /** Whether a response may be held because another upstream might do better; undefined: none is. */
  readonly judge?: ResponseJudge | undefined;
  /**
   * Sees each frame of a client that signed its event stream, before it is signed anew; what it throws ends the
   * attempt.
   */
  readonly checkFrame: ((frame: Frame) => void) | undefined;
  /**
   * Told how much more memory the frames of a client hold that have not left yet; less: negative, down to what they
   * held at first, however the attempt ends. May throw ERR_TOO_MANY_UPLOADS if it is more.
   */
  readonly holdBytes: (sizeBytes: number) => void;
}

/** Decides whether a response goes to the client. Asked before its first byte does. */
export interface ResponseJudge {
  /** `hold`: another upstream may do better. `peek`: its first frame decides. */
  judgeHead(status: number, headers: readonly HeaderPair[]): 'pass' | 'hold' | 'peek';
  /** Whether a stream is held that begins with this exception, by its name in the frame. */
  holdsException(exceptionType: string): boolean;
}

/** A response of which the client has nothing. */
export interface HeldResponse {
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  /** AWS's type of the error, as in `x-amzn-errortype`; undefined if it does not say. */
  readonly errorType: string | undefined;
  /** Lets it pass to the client as it came. As `Upstream.send`. */
  release(): Promise<void>;
}

/** The head of a request as it goes out, with its credentials: whoever keeps it masks them. */
export interface SentHead {
  readonly method: string;
  /** `https://bedrock-runtime.us-east-1.amazonaws.com`. */
  readonly origin: string;
  /** Raw. */
  readonly target: string;
  readonly headers: readonly HeaderPair[];
}

/** Observes an attempt. Passive: it must neither keep nor change what it sees. */
export interface ResponseObserver {
  /** With several upstreams: an attempt is about to be made this way. `failed`: what became of the one before. */
  onAttempt(way: Way, failed: FailedAttempt | undefined): void;
  /** No further attempt is made: what comes is the response of an earlier one, which went this way. */
  onReturn(way: Way, failed: FailedAttempt | undefined): void;
  /** Nothing leaves: what comes was recorded before, under this name. */
  onReplayed(recording: string): void;
  /** The attempt is signed and about to leave, with this head; undefined: nothing leaves. */
  onSigned(sent?: SentHead): void;
  /** There is a connection, and the request goes out on it: from here on the upstream may have seen it. */
  onSent(): void;
  /** The upstream has done nothing with what was sent, and said so or never saw it: as if it had not left yet. */
  onUnsent(): void;
  /** The response begins; `headers` are the upstream's own, before any is left out. */
  onHead(status: number, headers: readonly HeaderPair[]): void;
  /** A piece of the body on its way to the client. */
  onBytes(chunk: Buffer): void;
  /** The upstream's response is complete; the client may not have all of it yet. */
  onEnd(): void;
  /** The client has left, and the rest of the response is read without it, as the policy asks. */
  onReadOn(): void;
  /** A piece of what the client sends through its WebSocket or its event stream. */
  onClientBytes(chunk: Buffer): void;
}

/** Decides how a response is handed on. Asked when its head is there. */
export interface ResponsePolicy {
  /**
   * A response whose announced size is below this, or that announces none, waits until it is complete, so that
   * `extraHeaders` can describe all of it: a client cannot use half of it anyway. It is let go sooner if it grows to
   * this size, or is not complete in some seconds. 0: none waits.
   */
  readonly bufferBelowBytes: number;
  /**
   * If the client leaves, the response is read on without it, for what it says of its usage, within limits of time and
   * bytes; otherwise the upstream's connection is broken at once. Asked again with each piece of it.
   */
  readonly readsOn: boolean;
  /** Headers of ours, put after the upstream's own; `isComplete`: the response has waited and is complete. */
  extraHeaders(isComplete: boolean): readonly HeaderPair[];
}

/** An upstream: requests are sent to it. */
export interface Upstream {
  readonly name: string;
  /**
   * The ways that a request may take; the one that is meant if only one can be, first. None leads to a region that the
   * key may not use, if another one does not. Throws ERR_NO_UPSTREAM if there is none.
   */
  findWays(route: Route, principal: Principal): readonly [Way, ...Way[]];
  /**
   * Resolves when the client has the whole response, or when its WebSocket is closed on both sides; never throws for a
   * response, whatever its status. Throws what signing throws (ERR_NO_AWS_CREDENTIALS, ERR_AWS_CREDENTIALS,
   * ERR_API_KEY_REFUSED); ERR_UPSTREAM_* if the upstream cannot be reached, stays silent or breaks off (the client's
   * connection is then broken as well, if its response had begun); ERR_NOT_SUPPORTED and ERR_BAD_REQUEST for streams
   * that cannot be carried; and ERR_CLIENT_GONE. With a judge it may resolve to a response that waits.
   */
  send(attempt: Attempt, observer: ResponseObserver, policy: ResponsePolicy): Promise<HeldResponse | undefined>;
}
