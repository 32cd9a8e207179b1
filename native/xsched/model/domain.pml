/* Copyright 2026 the xsched-triton authors.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of src/domain/member.cc, for spin: run.sh checks it. Each read or
 * write of shared memory is a step of its own, and all memory orders there are
 * sequentially consistent.
 *
 * Process 0 has priority 1, the others 2, and 0 is nobody's. Each claims to be
 * ready, waits for its turn, works, and withdraws. Those of the first FLOORED
 * have a floor and are owed a slice: they want one, wait until they have it, and
 * give it back. With STAYS, the last one has priority 3 and work without end.
 *
 * What is owed, and how long a slice lasts, is not in the model: floor_test has
 * that. Nor are turns by weight, which processes take by the clock: nobody waits
 * for another one to give them.
 * There is no thread that ticks, so a wake-up that is lost is seen as a deadlock.
 * What a process leaves that dies is not in the model: domain_test kills them.
 * MUTATION breaks one rule, so that run.sh sees that the model notices.
 */

#ifndef N
#define N 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef FLOORED
#define FLOORED 0
#endif
#ifndef STAYS
#define STAYS 0
#endif
#ifndef MUTATION
#define MUTATION 0
#endif

/* Words of shared memory: a priority, who has the slice (in a claim: whether it
 * is wanted), and a number that each write changes. */
typedef Word {
  byte ready;
  byte slice;
  byte beat
};
Word claim[N];
Word top;
byte waits[N];
/* The bell has rung since its process last read the count of its rings. */
bool bell[N];

/* Of each process. */
byte ready[N]; /* what it claims */
byte beat[N];  /* of the claim that it wrote last */
bool lock[N];  /* of its device */
bool finished[N];

/* For the properties: its claim is complete, so that nobody below may go; it is
 * in its slice, so that nobody else may. */
bool holds[N];
bool in_slice[N];

#define Stays(i) (STAYS && (i) == N - 1)
#define Prio(i) ((i) == 0 -> 1 : (Stays(i) -> 3 : 2))

/* Member::Settle. 's' is who has the slice, and 'n' who will. */
inline settle(i, t, t_beat, s, m, n, w, j)
{
  do
  :: atomic {
       t = top.ready; s = top.slice; t_beat = top.beat;
       m = 0; n = 0; w = false; j = 0
     };
     do
     :: atomic {
          j < N ->
          m = (claim[j].ready > m -> claim[j].ready : m);
          if
          :: claim[j].slice != 0 ->
             n = (s == j + 1 -> s : n);
             w = w || j == i
          :: else
          fi;
          j++
        }
     :: atomic { j == N -> j = 0; break }
     od;
     atomic {
#if MUTATION == 5
       /* Who has the slice does not keep it. */
       n = 0;
#endif
       n = (n == 0 && w -> i + 1 : n);
#if MUTATION == 1
       /* It is not replaced if nothing changes. */
       if
       :: m == t && n == s -> j = 0; break
       :: else
       fi;
#endif
#if MUTATION == 2
       /* It is replaced whatever it is by now. */
       top.ready = m; top.slice = n; top.beat++; j = 0; break
#else
       if
       :: top.ready == t && top.slice == s && top.beat == t_beat ->
          top.ready = m; top.slice = n; top.beat++;
          m = 0; n = 0; w = false; t = 0; s = 0; t_beat = 0; j = 0; break
       :: else -> skip
       fi
#endif
     }
  od
}

/* Member::Ring. */
inline ring(i, t, s, j)
{
  atomic { t = top.ready; s = top.slice; j = 0 };
  do
  :: atomic {
       j < N ->
       if
       :: j != i && s == 0 &&
          ((waits[j] != 0 && waits[j] >= t)
#if MUTATION != 6
           || claim[j].slice != 0
#endif
          ) -> bell[j] = true
       :: else
       fi;
       j++
     }
  :: atomic { j == N -> t = 0; s = 0; j = 0; break }
  od
}

/* Nobody else is in a slice, and nobody above, if 'i' goes by its priority, has
 * work. */
inline may_go(i, by_priority, j)
{
  j = 0;
  do
  :: j < N ->
     assert(j == i || !in_slice[j]);
     assert(!by_priority || Prio(j) <= Prio(i) || !holds[j]);
     j++
  :: else -> break
  od;
  j = 0
}

proctype Process(byte i)
{
  byte t, t_beat, s, m, n, j, round;
  bool w;
  do
    :: round < ROUNDS ->
       /* Device::Enter: Publish, with the lock. */
       atomic { !lock[i] -> lock[i] = true };
#if MUTATION != 3
       waits[i] = Prio(i);
#endif
       atomic {
         ready[i] = Prio(i); beat[i]++;
         claim[i].ready = Prio(i); claim[i].beat = beat[i];
         claim[i].slice = (i < FLOORED -> 1 : 0)
       };
       settle(i, t, t_beat, s, m, n, w, j);
       holds[i] = (claim[i].beat == beat[i]);
       lock[i] = false;
       if
       :: Stays(i) -> break
       :: else
       fi;
       /* Waits for its turn, or for the slice. */
       do
       :: bell[i] = false;
          if
          :: i < FLOORED ->
             if
             :: atomic {
                  top.slice == i + 1 ->
                  in_slice[i] = true;
                  may_go(i, false, j);
                  break
                }
#if MUTATION != 7
             :: top.slice == 0 ->
                settle(i, t, t_beat, s, m, n, w, j);
                goto again
#endif
             :: else
             fi
          :: else ->
             atomic {
               if
               :: top.slice == 0 && top.ready <= Prio(i) ->
                  /* The highest goes first. */
                  may_go(i, true, j);
                  break
               :: else
               fi
             }
          fi;
#if MUTATION == 3
          /* It says so only after it has looked. */
          waits[i] = Prio(i);
#endif
          bell[i];
again:    skip
       od;
       waits[i] = 0;
       /* It works, and withdraws. */
       atomic { !lock[i] -> lock[i] = true };
       atomic {
         holds[i] = false; in_slice[i] = false;
         ready[i] = 0; beat[i]++;
         claim[i].ready = 0; claim[i].slice = 0; claim[i].beat = beat[i]
       };
       settle(i, t, t_beat, s, m, n, w, j);
       lock[i] = false;
#if MUTATION != 4
       ring(i, t, s, j);
#endif
       round++
    :: else -> break
    od;
    finished[i] = true
}


init
{
  byte i;
  atomic {
    do
    :: i < N ->
       run Process(i);
       i++
    :: else -> break
    od;
  }
}
