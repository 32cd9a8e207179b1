/** The backend names a queue after its model and instance, as in `bert/bert_0`: the model's name is the first group. */
export const MODEL_OF_QUEUE = { label: "name", pattern: "(.+)/[^/]+" } as const;
