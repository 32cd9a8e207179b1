/** The highest weight of a model. As in native/xsched/include/xsched/ext.h. */
export const HIGHEST_WEIGHT = 100;

/** Parameter of a model's configuration that the scheduler takes its weight from; absent: 0. */
export const WEIGHT_PARAMETER = "xsched_weight";
