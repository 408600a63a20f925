//! A table of poker: nine kinds of events, one stream for each table. The hands are played, looked up by every filter that a
//! poker site wants, replayed to the end of a hand, and the tables that a power cut has left in the middle of one are found
//! and played on.
//!
//! ```console
//! cargo run --example poker_table
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    Aggregate, Error, EventContext, EventStore, Faults, MetadataField, NewEvent, Options, Query, RecordedEvent,
    StreamName, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

// What happens at a table. The names and keys are those of the site's other programs.

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlayerJoined {
    player_id: String,
    player_name: String,
    seat_number: u8,
    buy_in: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlayerLeft {
    player_id: String,
    stack: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GameStarted {
    game_id: String,
    player_count: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HandStarted {
    game_id: String,
    hand_number: u32,
    dealer_position: u8,
    small_blind: u64,
    big_blind: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Action {
    Fold,
    Check,
    Call,
    Bet,
    Raise,
    AllIn,
    SmallBlind,
    BigBlind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Street {
    #[default]
    Preflop,
    Flop,
    Turn,
    River,
    Showdown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlayerAction {
    player_id: String,
    action: Action,
    amount: u64,
    street: Street,
    hand_number: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreetAdvanced {
    street: Street,
    community_cards: Vec<String>,
    hand_number: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Winner {
    player_id: String,
    amount: u64,
    hand_rank: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HandCompleted {
    hand_number: u32,
    winners: Vec<Winner>,
    total_pot: u64,
    was_all_in: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GamePaused {
    game_id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GameResumed {
    game_id: String,
}

scorebook::events! {
    /// What happens at a table.
    #[derive(Clone, Debug, PartialEq)]
    enum TableEvent {
        /// A player has sat down.
        PlayerJoined(PlayerJoined) = "game.player_joined", 1;
        /// A player has got up, with what was left.
        PlayerLeft(PlayerLeft) = "game.player_left", 1;
        /// Enough players are there.
        GameStarted(GameStarted) = "game.game_started", 1;
        /// Cards were dealt.
        HandStarted(HandStarted) = "game.hand_started", 1;
        /// A player has acted.
        PlayerAction(PlayerAction) = "game.player_action", 1;
        /// Cards were turned up.
        StreetAdvanced(StreetAdvanced) = "game.street_advanced", 1;
        /// The pot was paid out.
        HandCompleted(HandCompleted) = "game.hand_completed", 1;
        /// Nobody may act.
        GamePaused(GamePaused) = "game.game_paused", 1;
        /// It goes on.
        GameResumed(GameResumed) = "game.game_resumed", 1;
    }
    dress = tags;
    validate = rules;
}

/// Events are looked for by player and by hand.
fn tags(event: &TableEvent, new: NewEvent) -> NewEvent {
    let player = match event {
        TableEvent::PlayerJoined(PlayerJoined { player_id, .. })
        | TableEvent::PlayerLeft(PlayerLeft { player_id, .. })
        | TableEvent::PlayerAction(PlayerAction { player_id, .. }) => Some(player_id),
        _ => None,
    };
    let hand = match event {
        TableEvent::HandStarted(HandStarted { hand_number, .. })
        | TableEvent::PlayerAction(PlayerAction { hand_number, .. })
        | TableEvent::StreetAdvanced(StreetAdvanced { hand_number, .. })
        | TableEvent::HandCompleted(HandCompleted { hand_number, .. }) => Some(hand_number),
        _ => None,
    };
    let new = player.into_iter().fold(new, |new, player| new.tag("player", player));
    hand.into_iter().fold(new, |new, hand| new.tag("hand", hand))
}

fn rules(event: &TableEvent, faults: &mut Faults) {
    match event {
        TableEvent::PlayerJoined(PlayerJoined { seat_number, buy_in, .. }) => {
            faults.require((1..=9).contains(seat_number), "seatNumber", "must be 1 to 9");
            faults.require(0 < *buy_in, "buyIn", "must be more than nothing");
        }
        TableEvent::HandCompleted(HandCompleted { winners, total_pot, .. }) => {
            let paid: u64 = winners.iter().map(|winner| winner.amount).sum();
            faults.require(paid == *total_pot, "totalPot", format!("is {total_pot}, and {paid} is paid out"));
        }
        _ => {}
    }
}

// What is asked of a table. Chance is no business of an aggregate: the cards come with the command.

enum Command {
    Join { player: &'static str, seat: u8, buy_in: u64 },
    Leave { player: &'static str },
    Deal,
    Act { player: &'static str, action: Action, amount: u64 },
    TurnUp { cards: &'static [&'static str] },
    PayOut { winner: &'static str, rank: &'static str },
    Pause,
    Resume,
}

#[derive(Debug, PartialEq)]
enum Refusal {
    SeatTaken,
    NotEnoughPlayers,
    HandInProgress,
    NoHand,
    NotInTheHand,
    NotEnoughChips { stack: u64 },
    NothingToCall,
    Paused,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Refusal {}

#[derive(Clone, Debug, Default, PartialEq)]
struct Table {
    id: String,
    /// Players by seat.
    seats: BTreeMap<u8, Seat>,
    hands: u32,
    hand: Option<Hand>,
    is_started: bool,
    is_paused: bool,
    last_action: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
struct Seat {
    player: String,
    stack: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Hand {
    pot: u64,
    street: Street,
    cards: Vec<String>,
    /// What each player has put in on this street; those who folded are not there any more.
    bets: BTreeMap<String, u64>,
    was_all_in: bool,
}

const BLINDS: (u64, u64) = (5, 10);

impl Table {
    fn seat(&self, player: &str) -> Option<&Seat> {
        self.seats.values().find(|seat| seat.player == player)
    }

    fn seat_mut(&mut self, player: &str) -> Option<&mut Seat> {
        self.seats.values_mut().find(|seat| seat.player == player)
    }

    /// All chips there are: none are ever made or lost at a table.
    fn chips(&self) -> u64 {
        self.seats.values().map(|seat| seat.stack).sum::<u64>() + self.hand.as_ref().map_or(0, |hand| hand.pot)
    }

    fn deal(&self) -> Result<Vec<TableEvent>, Refusal> {
        let players: Vec<(&u8, &Seat)> = self.seats.iter().filter(|(_, seat)| BLINDS.1 <= seat.stack).collect();
        let (None, [(dealer, small), (_, big), ..]) = (&self.hand, &players[..]) else {
            return Err(if self.hand.is_some() { Refusal::HandInProgress } else { Refusal::NotEnoughPlayers });
        };
        let hand_number = self.hands + 1;
        let mut events = Vec::new();
        if !self.is_started {
            events.push(GameStarted { game_id: self.id.clone(), player_count: players.len() }.into());
        }
        let (small_blind, big_blind) = BLINDS;
        let (game_id, dealer_position) = (self.id.clone(), **dealer);
        events.push(HandStarted { game_id, hand_number, dealer_position, small_blind, big_blind }.into());
        for (seat, action, amount) in [(small, Action::SmallBlind, small_blind), (big, Action::BigBlind, big_blind)] {
            let player_id = seat.player.clone();
            events.push(PlayerAction { player_id, action, amount, street: Street::Preflop, hand_number }.into());
        }
        Ok(events)
    }

    fn act(&self, player: &str, action: Action, amount: u64) -> Result<Vec<TableEvent>, Refusal> {
        let hand = self.hand.as_ref().ok_or(Refusal::NoHand)?;
        let bet = *hand.bets.get(player).ok_or(Refusal::NotInTheHand)?;
        let stack = self.seat(player).map_or(0, |seat| seat.stack);
        let to_call = hand.bets.values().max().map_or(0, |most| most - bet);
        let amount = match action {
            Action::Fold => 0,
            Action::Check if to_call != 0 => return Err(Refusal::NotEnoughChips { stack }),
            Action::Check => 0,
            Action::Call if to_call == 0 => return Err(Refusal::NothingToCall),
            Action::Call => to_call.min(stack),
            Action::AllIn => stack,
            _ => amount,
        };
        if stack < amount {
            return Err(Refusal::NotEnoughChips { stack });
        }
        let (player_id, street, hand_number) = (player.to_owned(), hand.street, self.hands);
        Ok(vec![PlayerAction { player_id, action, amount, street, hand_number }.into()])
    }

    fn turn_up(&self, cards: &[&str]) -> Result<Vec<TableEvent>, Refusal> {
        let hand = self.hand.as_ref().ok_or(Refusal::NoHand)?;
        let street = match hand.street {
            Street::Preflop => Street::Flop,
            Street::Flop => Street::Turn,
            Street::Turn => Street::River,
            Street::River | Street::Showdown => Street::Showdown,
        };
        let community_cards = hand.cards.iter().cloned().chain(cards.iter().map(|card| (*card).to_owned())).collect();
        Ok(vec![StreetAdvanced { street, community_cards, hand_number: self.hands }.into()])
    }

    fn pay_out(&self, winner: &str, rank: &str) -> Result<Vec<TableEvent>, Refusal> {
        let hand = self.hand.as_ref().ok_or(Refusal::NoHand)?;
        if !hand.bets.contains_key(winner) {
            return Err(Refusal::NotInTheHand);
        }
        let winners = vec![Winner { player_id: winner.to_owned(), amount: hand.pot, hand_rank: rank.to_owned() }];
        let (hand_number, total_pot, was_all_in) = (self.hands, hand.pot, hand.was_all_in);
        Ok(vec![HandCompleted { hand_number, winners, total_pot, was_all_in }.into()])
    }
}

impl Aggregate for Table {
    type Event = TableEvent;
    type Command = Command;
    type Refusal = Refusal;

    fn new(table: &StreamName) -> Table {
        Table { id: table.to_string(), ..Table::default() }
    }

    fn decide(&self, command: &Command) -> Result<Vec<TableEvent>, Refusal> {
        let game_id = || self.id.clone();
        match command {
            Command::Resume if self.is_paused => Ok(vec![GameResumed { game_id: game_id() }.into()]),
            Command::Resume => Ok(Vec::new()),
            _ if self.is_paused => Err(Refusal::Paused),
            Command::Pause => Ok(vec![GamePaused { game_id: game_id() }.into()]),
            Command::Join { player, seat, .. } if self.seats.contains_key(seat) || self.seat(player).is_some() => {
                Err(Refusal::SeatTaken)
            }
            Command::Join { player, seat, buy_in } => {
                let (player_id, player_name) = ((*player).to_owned(), player.to_uppercase());
                Ok(vec![PlayerJoined { player_id, player_name, seat_number: *seat, buy_in: *buy_in }.into()])
            }
            Command::Leave { .. } if self.hand.is_some() => Err(Refusal::HandInProgress),
            Command::Leave { player } => {
                let stack = self.seat(player).ok_or(Refusal::NotInTheHand)?.stack;
                Ok(vec![PlayerLeft { player_id: (*player).to_owned(), stack }.into()])
            }
            Command::Deal => self.deal(),
            Command::Act { player, action, amount } => self.act(player, *action, *amount),
            Command::TurnUp { cards } => self.turn_up(cards),
            Command::PayOut { winner, rank } => self.pay_out(winner, rank),
        }
    }

    fn apply(&mut self, event: &TableEvent, context: &EventContext<'_>) {
        match event {
            TableEvent::PlayerJoined(PlayerJoined { player_id, seat_number, buy_in, .. }) => {
                self.seats.insert(*seat_number, Seat { player: player_id.clone(), stack: *buy_in });
            }
            TableEvent::PlayerLeft(PlayerLeft { player_id, .. }) => {
                self.seats.retain(|_, seat| seat.player != *player_id);
            }
            TableEvent::GameStarted(_) => self.is_started = true,
            TableEvent::HandStarted(HandStarted { hand_number, .. }) => {
                let players = self.seats.values().filter(|seat| BLINDS.1 <= seat.stack);
                let bets = players.map(|seat| (seat.player.clone(), 0)).collect();
                (self.hands, self.hand) = (*hand_number, Some(Hand { bets, ..Hand::default() }));
            }
            TableEvent::PlayerAction(PlayerAction { player_id, action, amount, .. }) => {
                if let Some(seat) = self.seat_mut(player_id) {
                    seat.stack -= amount;
                }
                if let Some(hand) = &mut self.hand {
                    hand.pot += amount;
                    hand.was_all_in |= *action == Action::AllIn;
                    match action {
                        Action::Fold => drop(hand.bets.remove(player_id)),
                        _ => *hand.bets.entry(player_id.clone()).or_default() += amount,
                    }
                }
                self.last_action = Some(context.time());
            }
            TableEvent::StreetAdvanced(StreetAdvanced { street, community_cards, .. }) => {
                if let Some(hand) = &mut self.hand {
                    (hand.street, hand.cards) = (*street, community_cards.clone());
                    hand.bets.values_mut().for_each(|bet| *bet = 0);
                }
            }
            TableEvent::HandCompleted(HandCompleted { winners, .. }) => {
                for winner in winners {
                    if let Some(seat) = self.seat_mut(&winner.player_id) {
                        seat.stack += winner.amount;
                    }
                }
                self.hand = None;
            }
            TableEvent::GamePaused(_) => self.is_paused = true,
            TableEvent::GameResumed(_) => self.is_paused = false,
        }
    }
}

/// Who did it and in which session are found like tags.
fn options() -> Options {
    EventStore::options().tags_from_metadata([MetadataField::Actor, MetadataField::Correlation])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let disk = SimulatedDisk::new(19);
    let store = options().open_simulated(&disk)?;
    let tables = [StreamName::new("table-berlin")?, StreamName::new("table-vienna")?];
    for table in &tables {
        play_first_hand(&store, table)?;
    }
    begin_second_hand(&store, &tables[0])?;
    look_for_events(&store, &tables[0])?;
    replay_to_a_hand(&store, &tables[0])?;

    // The power goes. Whatever the disk had not written is gone, and what was acknowledged is not among it.
    let before = store.aggregate::<Table>(&tables[0]).load()?.into_state();
    let store = options().open_simulated(&disk.crash(&CrashChoice::LoseAll))?;
    let unfinished = unfinished_tables(&store)?;
    println!("after the power cut, unfinished: {unfinished:?}");
    assert_eq!(unfinished, tables[..1]);
    let table = store.aggregate::<Table>(&unfinished[0]);
    assert_eq!(table.load()?.state(), &before);

    // The last command comes again, since nobody heard the answer. It was executed, and is not executed twice.
    let again = table.execute(act("cleo", Action::Raise, 40)).once("berlin-12").wait()?;
    assert!(again.is_repeat());
    for (key, command) in [
        ("berlin-13", act("ada", Action::Fold, 0)),
        ("berlin-14", act("ben", Action::Fold, 0)),
        ("berlin-15", Command::PayOut { winner: "cleo", rank: "unseen" }),
    ] {
        table.execute(command).once(key).wait()?;
    }
    let end = table.load()?.into_state();
    println!("played on: {end:?}");
    assert!(end.hand.is_none() && unfinished_tables(&store)?.is_empty());
    assert_eq!(end.chips(), 600);

    // A break, in which nothing is dealt; and somebody goes home.
    table.execute(Command::Pause).wait()?;
    let refused = table.execute(Command::Deal).wait().expect_err("it is paused");
    assert_eq!(refused.refusal(), Some(&Refusal::Paused));
    table.execute(Command::Resume).wait()?;
    let left = table.execute(Command::Leave { player: "ben" }).actor("ben").wait()?;
    println!("ben leaves: {:?}", left.events());
    assert_eq!(left.state().map(Table::chips), Some(450));
    Ok(())
}

fn act(player: &'static str, action: Action, amount: u64) -> Command {
    Command::Act { player, action, amount }
}

/// Executes commands one after the other, each under a key of its own, in one session.
fn play(
    store: &EventStore,
    table: &StreamName,
    first: u32,
    commands: impl IntoIterator<Item = (&'static str, Command)>,
) -> Result<(), Box<dyn std::error::Error>> {
    for (number, (user, command)) in (first..).zip(commands) {
        let name = table.as_str().trim_start_matches("table-");
        let execution = store.aggregate::<Table>(table).execute(command).once(format!("{name}-{number}"));
        execution.actor(user).correlation(format!("session-{name}")).wait()?;
    }
    Ok(())
}

fn play_first_hand(store: &EventStore, table: &StreamName) -> Result<(), Box<dyn std::error::Error>> {
    let join = |player, seat| (player, Command::Join { player, seat, buy_in: 200 });
    let commands = [
        join("ada", 1),
        join("ben", 2),
        join("cleo", 5),
        ("dealer", Command::Deal),
        ("cleo", act("cleo", Action::Call, 0)),
        ("ada", act("ada", Action::Fold, 0)),
        ("dealer", Command::TurnUp { cards: &["Ah", "7c", "2d"] }),
        ("ben", act("ben", Action::Bet, 30)),
        ("cleo", act("cleo", Action::Call, 0)),
        ("dealer", Command::PayOut { winner: "cleo", rank: "pair of aces" }),
    ];
    play(store, table, 1, commands)?;
    let state = store.aggregate::<Table>(table).load()?;
    println!("{table} at version {}: {:?}", state.version(), state.state().seats);
    assert_eq!(state.state().chips(), 600);

    // The rules of the table are answers, and told apart from trouble.
    let refused = store.aggregate::<Table>(table).execute(act("ada", Action::Check, 0)).wait();
    assert_eq!(refused.expect_err("no hand is being played").refusal(), Some(&Refusal::NoHand));
    Ok(())
}

fn begin_second_hand(store: &EventStore, table: &StreamName) -> Result<(), Box<dyn std::error::Error>> {
    play(store, table, 11, [("dealer", Command::Deal), ("cleo", act("cleo", Action::Raise, 40))])
}

/// The filters of a poker site, each as it is asked for here.
fn look_for_events(store: &EventStore, table: &StreamName) -> Result<(), Error> {
    let types =
        |events: Vec<RecordedEvent>| events.iter().map(|event| event.event_type().to_owned()).collect::<Vec<_>>();
    let find = |query: Query| store.read_all().matching(query).into_iter().collect::<Result<Vec<_>, _>>();

    // By table, by the kind of thing it happened to, by type, by user, by session.
    assert_eq!(find(Query::all().in_stream(table))?.len(), 17);
    assert_eq!(find(Query::all().in_category("table"))?.len(), 17 + 13);
    let ends = Query::all().of_type("game.hand_completed").of_type("game.game_paused");
    assert_eq!(types(find(ends)?), ["game.hand_completed", "game.hand_completed"]);
    assert_eq!(find(Query::all().tag("actor", "cleo").in_stream(table))?.len(), 4);
    assert_eq!(find(Query::all().tag("correlation", "session-vienna"))?.len(), 13);
    // What happened to a player is not what the player did: the blinds are posted by the dealer's command.
    assert_eq!(find(Query::all().tag("player", "ada").in_stream(table))?.len(), 4);

    // By version and by time, both ends included; the newest first, a page at a time.
    let versions =
        store.read(table).from(Version::new(4)).to(Version::new(7)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let dealt = ["game.game_started", "game.hand_started", "game.player_action", "game.player_action"];
    assert_eq!(types(versions.clone()), dealt);
    let (from, to) = (versions[0].time(), versions[3].time());
    let behind = Timestamp::from_nanos(to.nanos() + 1);
    assert_eq!(store.read_all().since(from).until(behind).count()?, 4);
    let page = |number: usize| {
        let newest = store.read_all().matching(Query::all().tag("player", "cleo")).backwards();
        newest
            .into_iter()
            .skip(3 * number)
            .take(3)
            .map(|event| Ok(event?.position().get()))
            .collect::<Result<Vec<_>, Error>>()
    };
    let (first, second) = (page(0)?, page(1)?);
    println!("cleo's last events: {first:?}, and before that {second:?}");
    assert!(second.iter().chain(&first).all(|position| *position <= first[0]) && second[0] < first[2]);

    // What caused an event: the key of its command.
    let raise = store.read(table).backwards().limit(1).into_iter().next().transpose()?.expect("there are events");
    assert_eq!(raise.metadata()?.causation(), Some("berlin-12"));
    Ok(())
}

/// The table as it stood at the end of the first hand.
fn replay_to_a_hand(store: &EventStore, table: &StreamName) -> Result<(), Error> {
    let of_hand = Query::all().in_stream(table).tag("hand", 1);
    let last = store.read_all().matching(of_hand).backwards().limit(1).into_iter().next();
    let last = last.transpose()?.expect("the hand was played");
    let state = store.aggregate::<Table>(table).state_at(last.version())?;
    println!("at the end of hand 1, version {}: {:?}", state.version(), state.state().seats);
    let stacks: Vec<u64> = state.state().seats.values().map(|seat| seat.stack).collect();
    assert_eq!((stacks, state.state().hands), (vec![195, 160, 245], 1));
    assert!(state.state().last_action <= Some(last.time()));
    Ok(())
}

/// What a bot does when it begins: every table is looked at, and those in the middle of a hand are played on.
fn unfinished_tables(store: &EventStore) -> Result<Vec<StreamName>, Error> {
    let mut unfinished = Vec::new();
    for info in store.streams().prefix("table-").list()? {
        if store.aggregate::<Table>(info.name()).load()?.state().hand.is_some() {
            unfinished.push(info.name().clone());
        }
    }
    Ok(unfinished)
}
