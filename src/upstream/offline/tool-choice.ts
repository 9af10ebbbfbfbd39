/**
 * Which tool the offline Bedrock calls if the choice is its own: one that the user names, or the one whose name and
 * description share most words with the question. Pure.
 */

/** A tool the model may call; the schema is JSON Schema, unchecked. */
export interface OfferedTool {
  readonly name: string;
  readonly description: string;
  readonly schema: unknown;
}

/** Words that say nothing about what a question is about. */
const STOP_WORDS = new Set(
  [
    'a about all an and any are as at be been but by call can could did do does for from get give given gives had has',
    'have he her here his how i if in input into is it its just know let like make me my need no not now of on',
    'one only or our out output please return returned returns say she should so some take tell that the their them',
    'then there these they this those to tool up us use used user uses using very want was we were what when where',
    'which who why will with word words would you your',
  ].flatMap((line) => line.split(' ')),
);

/** Of a description counts its start: coding agents describe a tool on pages, in words that fit any question. */
const DESCRIPTION_LENGTH = 200;

/** The tool for a text; undefined if it is about none. The first of equals. */
export function chooseToolFor(text: string, tools: readonly OfferedTool[]): OfferedTool | undefined {
  const named = tools.find(({ name }) => name !== '' && text.includes(name));
  if (named !== undefined) return named;
  const asked = wordsOf(text);
  let best: OfferedTool | undefined;
  let bestCount = 0;
  for (const tool of tools) {
    const count = [...wordsOf(`${spellOut(tool.name)} ${firstSentence(tool.description)}`)].filter((word) =>
      asked.has(word),
    ).length;
    if (count > bestCount) [best, bestCount] = [tool, count];
  }
  return best;
}

/** `getWeather_now` as words. */
function spellOut(name: string): string {
  return name.replaceAll(/([a-z])([A-Z])/g, '$1 $2');
}

function firstSentence(description: string): string {
  return (/^[\s\S]*?[.!?](?=\s|$)/.exec(description)?.[0] ?? description).slice(0, DESCRIPTION_LENGTH);
}

/** Words of three letters or more, without the plural's s. */
function wordsOf(text: string): Set<string> {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? [];
  return new Set(words.filter((word) => !STOP_WORDS.has(word)).map((word) => word.replace(/(?<=\w{3})s$/, '')));
}
