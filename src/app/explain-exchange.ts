/** What the explainer says of an exchange that failed. */
import { explainError } from '../diagnose/explain.ts';
import type { Exchange } from '../inspector/exchange.ts';
import type { ExplanationView } from '../inspector/wire.ts';

/** Undefined if it did not fail, or nothing is known of it. */
export function explainExchange({ row }: Exchange): ExplanationView | undefined {
  const { status, errorCode: type, errorMessage: message, operation, service, region, model } = row;
  if (type === undefined && (status ?? 0) < 400) return undefined;
  return explainError({ status, type, message, operation, service, region, model });
}
