import { distance } from "fastest-levenshtein";

/** The candidate that a mistyped word most likely means, or undefined if none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (candidates.includes(word)) {
    return word;
  }
  // One edit in three letters, and never so many that a short word turns into another one.
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) {
      continue;
    }
    const count = edits(word.toLowerCase(), candidate.toLowerCase());
    if (count < bestDistance) {
      best = candidate;
      bestDistance = count;
    }
  }
  return best ?? candidates.find((candidate) => word.length >= 3 && candidate.startsWith(word));
}

/** The Levenshtein distance, but two neighbouring letters that changed places count as one mistake. */
function edits(a: string, b: string): number {
  const swapped = Array.from({ length: Math.max(0, a.length - 1) }, (_, at) => at).some(
    (at) => a.slice(0, at) + a.charAt(at + 1) + a.charAt(at) + a.slice(at + 2) === b,
  );
  return swapped ? 1 : distance(a, b);
}
