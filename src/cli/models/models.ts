/**
 * `models`: what a region lists, a line for each id that can be called, with its price. What AWS does not list for
 * these credentials is said.
 */
import type { Flags } from '../../config/options.ts';
import { ProxyError } from '../../lib/errors.ts';
import { matchesGlob } from '../../lib/glob.ts';
import { asObjects, asText, asTexts, type JsonObject, parseJsonObject } from '../../lib/json.ts';
import { printable } from '../../lib/printable.ts';
import type { ModelPrice } from '../../pricing/cost.ts';
import { formatTable, printData, printJson, printTalk, terminalWidth } from '../../app/print.ts';
import { explainFailure, type ProxyCaller } from '../doctor/calls.ts';
import { priceToJson, shortRate } from '../prices/price-format.ts';
import { openPriceBook } from '../prices/table.ts';
import { readClientConfig } from '../exec/outer-proxy.ts';
import { findOwnProxy, withBedrock, withOwnProxy } from './bedrock.ts';

interface ModelsInput extends Flags {
  readonly pattern: string | undefined;
  readonly json: boolean;
}

/** An id that can be called. */
interface CallableModel {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  /** `on-demand`; `profile`, besides; `profile-only`, because the model itself is not on demand; `provisioned`. */
  readonly call: 'on-demand' | 'profile' | 'profile-only' | 'provisioned';
  /** Of a profile, the id of the model; else the id itself. */
  readonly model: string;
  readonly isLegacy: boolean;
}

/** AWS ends a list by itself; one that does not is cut. */
const MAX_PAGES = 20;

/** Prints them. Throws ERR_BAD_REQUEST if AWS lists neither models nor profiles. */
export async function listModels(input: ModelsInput): Promise<void> {
  const { found, problems, region } = await askAnyProxy(input);
  const book = await openPriceBook(input);
  const moment = { atMs: Date.now(), region, serviceTier: undefined, latency: undefined };
  const { pattern = '*' } = input;
  const glob = (pattern.includes('*') ? pattern : `*${pattern}*`).toLowerCase();
  const listed = found
    .filter(({ id, name }) => [id, name].some((text) => matchesGlob(glob, text.toLowerCase())))
    .map((model) => ({ model, price: book.find(model.id, moment) }));
  if (input.json) {
    return printJson({ region, models: listed.map(({ model, price }) => modelToJson(model, price)), problems });
  }
  if (listed.length > 0) printData(formatModels(listed));
  else printTalk(`${region} lists no model that is called ${printable(pattern)}.`);
  for (const problem of problems) printTalk(`warning: ${printable(problem, 500)}`);
  printTalk(`${listed.length} ids in ${region}; USD per million tokens.`);
}

interface FoundModels {
  readonly found: readonly CallableModel[];
  readonly problems: readonly string[];
}

/** The proxy that runs knows its region; without one that is ours, this process asks. */
async function askAnyProxy(input: ModelsInput): Promise<FoundModels & { readonly region: string }> {
  const config = readClientConfig(input, process.env);
  const running = await findOwnProxy(config, input);
  const region = running?.facts.region;
  if (running !== undefined && region !== undefined) {
    return { ...(await withOwnProxy(config, running, 'models', askModels)), region };
  }
  return withBedrock(config, async (caller, called) => ({ ...(await askModels(caller)), region: called }));
}

/** Two lists; one may be forbidden, or out of reach, without the other. */
async function askModels(caller: ProxyCaller): Promise<FoundModels> {
  const [models, profiles] = await Promise.all([
    askList(caller, '/foundation-models', 'modelSummaries'),
    askList(caller, '/inference-profiles?maxResults=1000', 'inferenceProfileSummaries'),
  ]);
  if (models.problem !== undefined && profiles.problem !== undefined) {
    const { words, hint } = models.problem;
    throw new ProxyError('ERR_BAD_REQUEST', `AWS lists no models. ${words}`, { hint });
  }
  return {
    found: combine(models.items, profiles.items),
    problems: [
      ...describeProblem('foundation models', models.problem),
      ...describeProblem('inference profiles', profiles.problem),
    ],
  };
}

function describeProblem(what: string, problem: Problem | undefined): string[] {
  return problem === undefined ? [] : [`AWS did not list ${what}. ${problem.words}`];
}

type Problem = ReturnType<typeof explainFailure>;

/** All pages. */
async function askList(
  caller: ProxyCaller,
  path: string,
  member: string,
): Promise<{ readonly items: readonly JsonObject[]; readonly problem: Problem | undefined }> {
  const items: JsonObject[] = [];
  let token = '';
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const next = token === '' ? '' : `&nextToken=${encodeURIComponent(token)}`;
    const response = await caller.call(`${path}${next}`);
    if (response.status !== 200) return { items, problem: explainFailure(response) };
    const body = parseJsonObject(Buffer.concat(response.chunks)) ?? {};
    items.push(...asObjects(body[member]));
    token = asText(body['nextToken']);
    if (token === '') break;
  }
  return { items, problem: undefined };
}

function combine(models: readonly JsonObject[], profiles: readonly JsonObject[]): CallableModel[] {
  const byId = new Map(models.map((model) => [asText(model['modelId']), model]));
  const itself = models.flatMap((model): CallableModel[] => {
    const types = asTexts(model['inferenceTypesSupported']);
    const call = types.includes('ON_DEMAND') ? 'on-demand' : types.includes('PROVISIONED') ? 'provisioned' : undefined;
    const id = asText(model['modelId']);
    return call === undefined ? [] : [{ id, call, model: id, ...describe(model) }];
  });
  const throughProfiles = profiles.map((profile): CallableModel => {
    const arn = asText(asObjects(profile['models'])[0]?.['modelArn']);
    const model = arn.slice(arn.lastIndexOf('/') + 1);
    const known = byId.get(model);
    const isOnDemand = asTexts(known?.['inferenceTypesSupported']).includes('ON_DEMAND');
    const isApplication = profile['type'] === 'APPLICATION';
    const id = asText(profile[isApplication ? 'inferenceProfileArn' : 'inferenceProfileId']);
    const { name, ...rest } = describe(known ?? {});
    const call = known === undefined || isOnDemand ? 'profile' : 'profile-only';
    return {
      id,
      call,
      model,
      ...rest,
      name: isApplication || name === '' ? asText(profile['inferenceProfileName']) : name,
    };
  });
  return [...itself, ...throughProfiles].toSorted((one, other) => compare(one, other));
}

function describe(model: JsonObject): Pick<CallableModel, 'name' | 'provider' | 'isLegacy'> {
  const lifecycle = model['modelLifecycle'];
  const isLegacy =
    typeof lifecycle === 'object' && lifecycle !== null && 'status' in lifecycle && lifecycle.status === 'LEGACY';
  return { name: asText(model['modelName']), provider: asText(model['providerName']), isLegacy };
}

/** Profiles stand below the model that they lead to. */
function compare(one: CallableModel, other: CallableModel): number {
  const [left, right] = [one, other].map(
    ({ model, call, id }) => `${model} ${call.startsWith('profile') ? 1 : 0} ${id}`,
  );
  return (left ?? '') < (right ?? '') ? -1 : 1;
}

function formatModels(
  listed: readonly { readonly model: CallableModel; readonly price: ModelPrice | undefined }[],
): string {
  const rows = listed.map(({ model, price }) => [
    printable(model.id, 200),
    model.call.replace('-', ' ') + (model.isLegacy ? ', legacy' : ''),
    shortRate(price?.input),
    shortRate(price?.output),
    printable(model.name, 40),
  ]);
  return formatTable(['id', 'called', 'input', 'output', 'name'], rows, {
    right: new Set(['input', 'output']),
    width: terminalWidth(),
    spare: ['name'],
  });
}

function modelToJson(model: CallableModel, price: ModelPrice | undefined): object {
  const { isLegacy, ...facts } = model;
  return { ...facts, legacy: isLegacy, price: price === undefined ? null : priceToJson(price) };
}
