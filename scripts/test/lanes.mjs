// Runs checks side by side where they do not compete.

/**
 * Runs checks in order, each as soon as it has a place of every resource that it uses and the check before it has ended.
 *
 * @param checks the result of `allChecks`
 * @param {Record<string, number>} places how many checks may use a resource at a time; one by default
 * @param {(check, place: number) => Promise<unknown>} run `place` is a number, counted from 0, that no concurrent
 *   check has
 */
export async function runSideBySide(checks, places, run) {
  const waiting = [...checks];
  const running = new Map();
  const inUse = (thing) => [...running.keys()].filter(({ uses }) => uses.includes(thing)).length;
  const mayStart = ({ uses, after }) =>
    uses.every((thing) => inUse(thing) < (places[thing] ?? 1)) &&
    ![...waiting, ...running.keys()].some(({ title }) => title === after);
  const taken = new Set();
  const start = (check) => {
    let place = 0;
    while (taken.has(place)) place++;
    taken.add(place);
    const ended = run(check, place).then(() => {
      taken.delete(place);
      running.delete(check);
    });
    running.set(check, ended);
  };
  while (waiting.length > 0 || running.size > 0) {
    for (let next; (next = waiting.findIndex(mayStart)) >= 0;) start(waiting.splice(next, 1)[0]);
    await Promise.race(running.values());
  }
}
