/** The range of a model's priority, and the names that stand for its ends and its middle. */
export const LOWEST_PRIORITY = -255;
export const HIGHEST_PRIORITY = 255;

export const PRIORITY_NAMES: Readonly<Record<string, number>> = {
  max: HIGHEST_PRIORITY,
  default: 0,
  min: LOWEST_PRIORITY,
};
