/**
 * Steps that would wait for each other in the database anyway go there together: the first one at once, and what comes
 * while it is under way in the next round trip. Who is alone waits for nobody.
 */

/** So many steps one round trip takes at most. */
const MAX_STEPS = 200;

interface WaitingStep<Step, Result> {
  readonly step: Step;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** State: what waits, by the name of what it would wait for. */
export class StepBatches<Step, Result> {
  readonly #take: (steps: readonly Step[]) => Promise<readonly Result[]>;
  readonly #waiting = new Map<string, WaitingStep<Step, Result>[]>();

  /** `take` gets steps of one name, and gives as many results in their order. */
  constructor(take: (steps: readonly Step[]) => Promise<readonly Result[]>) {
    this.#take = take;
  }

  /** Rejects with what the round trip of this step was rejected with. */
  add(name: string, step: Step): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(name);
      waiting?.push({ step, resolve, reject });
      if (waiting !== undefined) return;
      this.#waiting.set(name, []);
      void this.#run(name, [{ step, resolve, reject }]);
    });
  }

  async #run(name: string, first: WaitingStep<Step, Result>[]): Promise<void> {
    for (let batch = first; batch.length > 0; batch = this.#waiting.get(name)?.splice(0, MAX_STEPS) ?? []) {
      try {
        const results = await this.#take(batch.map(({ step }) => step));
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#waiting.delete(name);
  }
}
