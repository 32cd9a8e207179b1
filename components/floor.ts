/** The highest floor of a model, and of all models of a GPU together, in percent of its time. As in native/xsched/src/preempt/policy.h. */
export const HIGHEST_FLOOR = 50;
export const HIGHEST_SUM_OF_FLOORS = 90;

/** Parameter of a model's configuration that the scheduler takes its floor from; absent: 0. */
export const FLOOR_PARAMETER = "xsched_floor";
