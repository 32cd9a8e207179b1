/* Copyright 2026 the xsched-triton authors.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of src/domain/member.cc, for spin: run.sh checks it. Each read or
 * write of shared memory is a step of its own, and all memory orders there are
 * sequentially consistent.
 *
 * Process 0 has priority 1, the others 2, and 0 is nobody's. Each claims to be
 * ready, waits for its turn, works, and withdraws.
 *
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
#ifndef MUTATION
#define MUTATION 0
#endif

/* Words of shared memory: a priority and a number that each write changes. */
typedef Word {
  byte ready;
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

/* For the properties: its claim is complete, so that nobody below may go. */
bool holds[N];

#define Prio(i) ((i) == 0 -> 1 : 2)

/* Member::Settle. */
inline settle(t, t_beat, m, j)
{
  do
  :: atomic { t = top.ready; t_beat = top.beat; m = 0; j = 0 };
     do
     :: atomic { j < N -> m = (claim[j].ready > m -> claim[j].ready : m); j++ }
     :: atomic { j == N -> j = 0; break }
     od;
     atomic {
#if MUTATION == 1
       /* It is not replaced if nothing changes. */
       if
       :: m == t -> j = 0; break
       :: else
       fi;
#endif
#if MUTATION == 2
       /* It is replaced whatever it is by now. */
       top.ready = m; top.beat++; j = 0; break
#else
       if
       :: top.ready == t && top.beat == t_beat ->
          top.ready = m; top.beat++; m = 0; t = 0; t_beat = 0; j = 0; break
       :: else -> skip
       fi
#endif
     }
  od
}

/* Member::Ring. */
inline ring(i, t, j)
{
  atomic { t = top.ready; j = 0 };
  do
  :: atomic {
       j < N ->
       if
       :: j != i && waits[j] != 0 && waits[j] >= t -> bell[j] = true
       :: else
       fi;
       j++
     }
  :: atomic { j == N -> t = 0; j = 0; break }
  od
}

proctype Process(byte i)
{
  byte t, t_beat, m, j, round;
  do
    :: round < ROUNDS ->
       /* Device::Enter: Publish, with the lock. */
       atomic { !lock[i] -> lock[i] = true };
#if MUTATION != 3
       waits[i] = Prio(i);
#endif
       atomic {
         ready[i] = Prio(i); beat[i]++;
         claim[i].ready = Prio(i); claim[i].beat = beat[i]
       };
       settle(t, t_beat, m, j);
       holds[i] = (claim[i].beat == beat[i]);
       lock[i] = false;
       /* Waits for its turn. */
       do
       :: bell[i] = false;
          atomic {
            if
            :: top.ready <= Prio(i) ->
               /* The highest goes first. */
               j = 0;
               do
               :: j < N ->
                  assert(Prio(j) <= Prio(i) || !holds[j]);
                  j++
               :: else -> break
               od;
               j = 0;
               break
            :: else
            fi
          };
#if MUTATION == 3
          /* It says so only after it has looked. */
          waits[i] = Prio(i);
#endif
          bell[i]
       od;
       waits[i] = 0;
       /* It works, and withdraws. */
       atomic { !lock[i] -> lock[i] = true };
       atomic {
         holds[i] = false;
         ready[i] = 0; beat[i]++;
         claim[i].ready = 0; claim[i].beat = beat[i]
       };
       settle(t, t_beat, m, j);
       lock[i] = false;
#if MUTATION != 4
       ring(i, t, j);
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
