//! Ways to break the store on purpose, so that the tests can show that they would notice.
//!
//! A build with the feature `mutants`, which only the crate's own tests turn on, looks at the environment variable
//! `SCOREBOOK_MUTANT` when it is first asked, and is broken in the way named there, if any. In every other build nothing
//! of this is left. `tests/it/mutants.rs` says which test catches which.

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule that the store breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Mutant {
            $($(#[$doc])* $name,)*
        }

        #[cfg(feature = "mutants")]
        const ALL: &[(&str, Mutant)] = &[$((stringify!($name), Mutant::$name)),*];
    };
}

mutants! {
    /// Receipts are given before anything is written.
    AnswersBeforeWriting,
    /// Receipts say synced, and nothing was.
    AcknowledgesBeforeSyncing,
    /// A start record is written while the segment before it is not durable.
    StartsBeforeThePredecessorIsSynced,
    /// A start record counts as synced as soon as it is written.
    DoesNotSyncAStart,
    /// A footer is written although nothing says that a successor is durable.
    SealsBeforeTheStartIsSynced,
    /// Files that were passed by are removed before the start record that makes them so is synced.
    RemovesWhatIsStillNeeded,
    /// No batch bears witness of anything.
    NeverMovesTheDurableEnd,
    /// A failed sync is told once and forgotten.
    DoesNotLatchASync,
    /// A failed write is told once and forgotten.
    DoesNotLatchAWrite,
    /// A failed sync is tried again, and believed.
    RetriesASync,
    /// A conflict caused by something staged is answered before that is visible.
    AnswersAConflictAtOnce,
    /// The time of events is that of the clock, wherever it jumps.
    LetsTheClockGoBack,
    /// Every opening writes in the epoch of the one before.
    BeginsNoEpoch,
    /// What follows a session record is visible before that is durable.
    DoesNotSyncASession,
    /// The end of a log that is still is not written down.
    ForgetsTheWatermark,
    /// Closing writes nothing.
    ClosesWithoutACloseRecord,
    /// The start record of a copy is written together with what was copied.
    StartsBeforeTheCopyIsSynced,
    /// What verifies behind the last witness counts where it stands.
    TrustsTheOldTail,
    /// Acknowledged bytes that do not verify are left out without a word.
    TakesDamageForTheEnd,
    /// What a crash left unfinished is damage.
    RefusesWhereItShouldEnd,
    /// The name of a new segment is left to chance.
    DoesNotSyncADirectory,
    /// The content of a new segment is left to chance.
    DoesNotSyncANewSegment,
    /// A segment that another opening left ready is used as it is.
    TrustsABlankSegment,
    /// No room is taken for a broken disk.
    TakesAFullDiskForAFailure,
    /// Expectations are held against what is visible, not against what was admitted.
    JudgesByWhatIsVisible,
    /// A condition is held against what is visible, not against what was admitted.
    OverlooksWhatIsStaged,
    /// What is admitted between the look at what is visible and the judgement is not judged.
    KeepsNothingForWhoHasLooked,
    /// A key of a batch that is only staged is not known yet.
    ForgetsStagedKeys,
    /// Whoever comes with a key again gets the first receipt, whatever he hands in.
    ComparesNoContent,
    /// Of several conditions only the first is judged.
    JudgesTheFirstConditionOnly,
    /// What lies behind a position includes the event there.
    TakesBehindForFrom,
    /// What happened before the last segment began is not looked for.
    LooksOnlyAtTheLastSegment,
    /// An append that was refused for want of room stays queued.
    LetsARefusedAppendComeBack,
    /// An append whose receipt nobody waits for is not committed.
    ForgetsWhatIsLetGo,
    /// The file `live` is never brought up to date.
    SaysNothingInLive,
    /// The file `live` calls durable what is only visible.
    SaysTooMuchInLive,
    /// The events of a batch become visible one after the other.
    ShowsABatchInPart,
    /// Events become visible and the head stays where it was.
    LeavesTheHeadBehind,
    /// Bodies of records are not verified.
    VerifiesNoBody,
    /// A read passes over what it cannot read.
    PassesOverDamage,
    /// A file that cannot be read is taken for an empty one.
    TakesAReadErrorForTheEnd,
    /// Header checksums do not say where a record stands.
    MixesNoPlaceIn,
    /// Whoever does not get the lock goes on without it.
    LocksNothing,
    /// A segment is read beyond the end that its successor fixed.
    ReadsBeyondTheFixedEnd,
    /// A read that meets an error of the system ends there.
    EndsAtAReadError,
    /// Whoever waits for events goes to sleep and tells nobody.
    SleepsWithoutASeat,
    /// Whoever has made itself known goes to sleep without another look.
    SleepsOnWhatCame,
    /// Every event wakes everybody who waits.
    WakesEverybody,
    /// A subscription begins with the event at the position behind which it was asked to begin.
    BeginsAtThePositionGiven,
    /// A subscription that begins at a time gives what is older, too.
    GivesWhatIsOlder,
    /// When a subscription has read what there was, it goes on behind the end there is by then.
    GoesOnBehindTheHead,
    /// The marker of being caught up is given once and never again.
    TellsItIsLevelOnce,
    /// Subscriptions pass over positions that cannot be read without a word.
    PassesOverGaps,
    /// Subscriptions give what is visible although they were asked for what is durable.
    GivesWhatIsNotDurable,
    /// A subscription sleeps on when the store is closed.
    SleepsOnWhenClosed,
    /// A subscription goes on where the store was opened again with less than it had given.
    OverlooksASetback,
    /// Records of a consumer are accepted whoever has added some since.
    LetsAnyoneMoveAConsumer,
    /// Later events of a key are handed out although an earlier one has failed or is parked.
    LetsLaterOnesPass,
    /// Events of a key are handed out while others of it are in somebody's hands.
    HandsOutAKeyTwice,
    /// What a member had in its hands when it went away is handed out to nobody.
    KeepsWhatADeadMemberHad,
    /// An event that keeps failing is tried for ever.
    RetriesForEver,
    /// The checkpoint is how far a consumer has looked, not what is done.
    RecordsWhatWasScanned,
    /// The age of a checkpoint is counted anew with every event.
    CountsTheAgeAnew,
    /// Results are committed without the checkpoint that belongs to them.
    CommitsWithoutTheCheckpoint,
    /// A checkpoint moves only with events that are asked for.
    StandsStillWhereNothingMatches,
    /// A consumer that is begun again forgets what was left behind its end.
    ForgetsWhatWasLeft,
    /// A consumer that is begun again forgets what was set aside.
    ForgetsWhatWasParked,
    /// What a consumer asks for may change without a word.
    TakesAnotherDefinition,
    /// A consumer that is paused goes on.
    RunsOnWhenPaused,
    /// Closing the store writes no checkpoints.
    ClosesWithoutCheckpoints,
    /// Consumers are not among what is written down beside the log.
    SavesNoConsumers,
    /// What is said of events of a consumer that was deleted or changed is written down.
    BringsBackWhatIsGone,
    /// A consumer goes on where the store was opened again with less than it had looked at.
    GoesOnBehindASetback,
    /// What comes before a parked event in its key is parked as well.
    ParksWhatCameBefore,
    /// A synced batch calls nobody who waits for something else to become durable.
    CallsNobodyForASync,
    /// A stream that is finished takes events.
    AppendsToWhatIsFinished,
    /// Whoever asks for what is not kept gets what is.
    ReadsBelowTheFloor,
    /// What was decided about streams is not saved with them.
    SavesNoFates,
    /// A segment that compaction wrote takes the place of others before it is durable.
    CompactsWithoutASync,
    /// Of the segments that another one stands for the last is removed last.
    RemovesTheOthersFirst,
    /// Compaction removes what is held.
    CompactsWhatIsHeld,
    /// Compaction removes what a consumer is not done with.
    CompactsWhatIsUnseen,
    /// Compaction has rules remove the last event of a stream.
    CompactsLastEvents,
    /// Compaction in the background compacts whatever the policy says.
    CompactsAgainstThePolicy,
    /// Compaction in the background reads the log again although nothing has changed.
    PlansWithoutNews,
    /// What a compaction removes besides events is not what it is done for.
    PlansForEventsOnly,
    /// That compaction in the background has failed is told to nobody.
    TellsOfNoFailedCompaction,
    /// What compaction has removed is not noted.
    OverlooksWhatWasRemoved,
    /// A table of streams counts although it was saved before a compaction.
    TrustsATableFromBefore,
    /// What goes beyond a quota is accepted.
    OverlooksQuotas,
    /// What is on its way in is not counted where a quota is judged.
    CountsWhatIsVisible,
    /// What a compaction removed is still counted for a quota.
    GivesNothingBack,
    /// An export leaves out `once` keys.
    ForgetsKeysOnTheWay,
    /// An exact import takes in facts that do not go on from what came before.
    ImportsWithoutJudging,
    /// An exact import takes in that a stream has come further where no event of it can be missing.
    ImportsWhatNoHoleExplains,
    /// Damage that a read has met is told to nobody else.
    ForgetsDamageThatWasMet,
    /// Whoever leads tells of a group before anybody has an answer.
    TellsBeforeItAnswers,
    /// The longest sync is the last.
    KeepsNoPeak,
    /// Waiting for a projection to reach a position ends before that is folded in.
    ReachesWhatIsNotFolded,
    /// Of a projection's two copies one gets only every other chunk.
    ForgetsWhatTheOtherCopyMisses,
    /// A projection keeps what it has folded in where the store was opened again without it.
    KeepsWhatWasLost,
    /// The state of a projection is saved with events that a power cut may take.
    SavesWhatIsNotDurable,
    /// A saved state is taken although its bytes do not verify.
    TrustsADamagedState,
    /// A saved state is taken although the log does not reach as far.
    TrustsAStateAheadOfTheLog,
    /// A saved state is taken although the log holds another event where it ends.
    TrustsAStateOfAnotherLog,
    /// The states of all keys that were ever asked for are kept.
    KeepsEveryState,
    /// The state of a key is gone on with although the log does not hold what it ends with.
    GoesOnWithWhatWasLost,
    /// Whoever asks for a key gets the state that is kept, whatever has come since.
    AnswersWithWhatIsKept,
    /// That a snapshot is ahead of the log proves nothing.
    TakesNoSnapshotForAWitness,
    /// A snapshot is written although there is a newer one, whose place it takes.
    LetsAnOlderStateReplaceANewer,
    /// A state is begun with a snapshot of what was deleted since.
    ResumesWhatWasDeleted,
    /// A state that is carried in the log counts although what is in it was deleted since.
    CarriesWhatWasDeleted,
    /// Where a state that is carried in the log stands is not noted anew when its segment is written anew.
    LosesSightOfAState,
    /// The carried state of a stream stays when the stream is finished.
    KeepsStatesOfTheFinished,
    /// A carried state is taken for that of whichever fold and schema is asked for.
    TakesAnyStateForItsOwn,
    /// A snapshot from before a stream began later counts more than the state it carries.
    TrustsASnapshotMoreThanTheLog,
    /// What was folded before a stream came to begin with another state is gone on with.
    TrustsAStateOfAnotherBeginning,
    /// A repair keeps no copy of what it takes away.
    KeepsNothingAside,
    /// A repaired or migrated segment takes the place of the old one before it is durable.
    SwapsWithoutASync,
    /// A repair does not record what was lost behind the end.
    ForgetsWhatTheEndLost,
    /// Live handlers of one event are called as they were added, whatever their order.
    CallsHandlersAsTheyWereAdded,
    /// Where a live handler fails, those behind it are not called with the event.
    StopsAtAFailure,
    /// A live handler that was removed is called with what was read for it before.
    CallsRemovedHandlers,
    /// An event counts as handled when it was read for a live handler.
    SaysHandledWhenItIsRead,
    /// Waiting for a bus does not wait for its durable handlers.
    WaitsForLiveHandlersOnly,
    /// A handler that waits for its own bus is not told that this has no end.
    WaitsInsideAHandler,
    /// Live handlers are called with what was seen first, though others ask for something before it.
    HandlesWhatWasSeenFirst,
    /// A bus keeps every failure.
    KeepsEveryFailure,
    /// Closing the store does not wait for a live handler that is at work.
    ClosesBesideAHandlerAtWork,
}

impl Mutant {
    /// Whether the store is to break this rule.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is_on(self) -> bool {
        false
    }

    /// Whether the store is to break this rule.
    #[cfg(feature = "mutants")]
    pub(crate) fn is_on(self) -> bool {
        static CHOSEN: crate::sync::OnceLock<Option<Mutant>> = crate::sync::OnceLock::new();
        *CHOSEN.get_or_init(chosen) == Some(self)
    }
}

#[cfg(feature = "mutants")]
fn chosen() -> Option<Mutant> {
    let name = std::env::var("SCOREBOOK_MUTANT").ok()?;
    let known = ALL.iter().find(|(known, _)| *known == name);
    Some(known.unwrap_or_else(|| panic!("SCOREBOOK_MUTANT={name}: there is no such mutant")).1)
}
