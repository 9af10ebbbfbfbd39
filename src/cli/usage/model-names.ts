/**
 * One name for a model, however a request or AWS's bill calls it: its id without geography. Pure.
 */
import { parseModelName, withoutGeography } from '../../domain/model-name.ts';
import { indexListedNames } from '../../pricing/aws-names.ts';
import { indexModels } from '../../pricing/price-data.ts';
import type { Bill } from '../../pricing/bill/bill.ts';

/** A model, and whether it is called by a `global.` profile. */
export interface ComparedModel {
  readonly model: string;
  readonly isGlobal: boolean;
}

/** Names of both sides. What nobody knows keeps its name. */
export interface ModelNames {
  readonly ofBill: (name: string) => string;
  /** Undefined: a request without a model. */
  readonly ofLedger: (name: string | undefined) => ComparedModel;
}

const EDITION = / \(Amazon Bedrock Edition\)$/;
const MODEL_ID = /^[a-z0-9-]+\.[a-z]/;

/** `knownIds` are without geographies; what the ledger has of others is known as well. */
export function openModelNames(
  { groups, profiles }: Pick<Bill, 'groups' | 'profiles'>,
  ledgerNames: readonly (string | undefined)[],
  knownIds: readonly string[],
): ModelNames {
  const findKnown = indexModels(knownIds.map((id) => ({ id })));
  const toKnown = (id: string): string => findKnown(id)?.id ?? id;
  const named = ledgerNames.map((name) => parseModelName(name ?? '').priceName).filter((id) => id !== undefined);
  const called = new Set(named.map((id) => toKnown(withoutGeography(id))));
  const findListed = indexListedNames([...new Set([...knownIds, ...called])]);
  const ofBillNames = new Map<string, string>();
  /** Ids that cost alike under one name of AWS's. */
  const alike = new Map<string, string>();
  const names = [...new Set(groups.map(({ name }) => name))];
  // Names before ids: a name may mean several ids.
  for (const name of names.toSorted((a, b) => Number(MODEL_ID.test(a)) - Number(MODEL_ID.test(b)))) {
    const ids = findListed(name).models;
    const found = ids.find((id) => called.has(id)) ?? ids[0] ?? toKnown(name.replace(EDITION, ''));
    const model = alike.get(found) ?? found;
    ofBillNames.set(name, model);
    for (const id of ids) alike.set(id, model);
  }
  const findBilled = indexModels([...new Set(ofBillNames.values())].map((id) => ({ id })));
  const ofBill = (name: string): string => ofBillNames.get(name) ?? name;
  return {
    ofBill,
    ofLedger: (name = '') => {
      const profile = profiles.get(name);
      if (profile !== undefined) return { model: ofBill(profile.name), isGlobal: profile.isGlobal };
      const id = parseModelName(name).priceName;
      if (id === undefined) return { model: name, isGlobal: false };
      const known = toKnown(withoutGeography(id));
      return { model: alike.get(known) ?? findBilled(known)?.id ?? known, isGlobal: id.startsWith('global.') };
    },
  };
}
