//! Somebody who plays, over all guilds.

use super::event::GameEvent;
use super::ids::{GuildId, PlayerId};
use super::moment::Moment;
use super::payload::{Setting, UserPreferencesChanged, UserProfileUpdated, UserRegistered};
use super::refusal::Refusal;
use super::team::is_unseen;
use scorebook::{Aggregate, EventContext, StreamName};
use serde::Serialize;
use std::collections::BTreeMap;

/// The most characters of a user's name, and of the name and the text of a preference.
pub const USER_TEXT_CHARS_MAX: usize = 100;

/// The most preferences of a kind that a user may have.
pub const SETTINGS_MAX: usize = 100;

/// Somebody who plays, as an aggregate of the stream `user-{discord id}`.
///
/// ```
/// use scorebook::EventStore;
/// use scorebook::game::{Moment, PlayerId, User, UserAction, UserCommand};
///
/// let store = EventStore::open_in_memory()?;
/// let user = store.aggregate::<User>(&PlayerId::from(7).stream());
/// let register = UserAction::Register { guild: 9.into(), username: "ada".to_owned(), display_name: None };
/// let executed = user.execute(UserCommand::new(Moment::from_millis(1), register)).wait().expect("a good name");
/// assert_eq!(executed.state().and_then(User::name), Some("ada"));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    id: Option<PlayerId>,
    guild: Option<GuildId>,
    username: Option<String>,
    display_name: Option<String>,
    notifications: BTreeMap<String, Setting>,
    ui: BTreeMap<String, Setting>,
    last: Moment,
}

/// What is noted about a user, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCommand {
    at: Moment,
    action: UserAction,
}

impl UserCommand {
    /// An action at some time. A time before the last event counts as the time of that event.
    #[must_use]
    pub fn new(at: Moment, action: UserAction) -> UserCommand {
        UserCommand { at, action }
    }
}

/// What is noted about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction {
    /// Somebody is here. Only the first time is noted.
    Register {
        /// Where.
        guild: GuildId,
        /// The name on Discord.
        username: String,
        /// The name to be shown, where there is another.
        display_name: Option<String>,
    },
    /// Another name is to be shown.
    UpdateProfile {
        /// The name.
        display_name: String,
    },
    /// Something is wanted otherwise. What is not named stays.
    ChangePreferences {
        /// What about being notified.
        notifications: BTreeMap<String, Setting>,
        /// What about being shown things.
        ui: BTreeMap<String, Setting>,
    },
}

impl User {
    /// The name to be shown; `None` of somebody who is not known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.display_name.as_deref().or(self.username.as_deref())
    }

    /// Where the user came first.
    #[must_use]
    pub fn first_guild(&self) -> Option<GuildId> {
        self.guild
    }

    /// What is wanted about being notified.
    #[must_use]
    pub fn notifications(&self) -> &BTreeMap<String, Setting> {
        &self.notifications
    }

    /// What is wanted about being shown things.
    #[must_use]
    pub fn ui(&self) -> &BTreeMap<String, Setting> {
        &self.ui
    }
}

/// What a user may be called: 1 to 100 characters that can be shown, not all of them blank.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    match name.chars().take(USER_TEXT_CHARS_MAX + 1).count() {
        0 => Err(Refusal::NameTooShort),
        chars if USER_TEXT_CHARS_MAX < chars => Err(Refusal::NameTooLong),
        _ if name.chars().any(is_unseen) || name.trim().is_empty() => Err(Refusal::InvalidNameFormat),
        _ => Ok(()),
    }
}

/// Whether preferences are few and short enough.
pub(super) fn are_fine(settings: &BTreeMap<String, Setting>) -> bool {
    let is_fine = |text: &str| text.chars().count() <= USER_TEXT_CHARS_MAX;
    let is_fine = |(key, setting): (&String, &Setting)| match setting {
        Setting::Text(text) => is_fine(key) && is_fine(text),
        Setting::Switch(_) | Setting::Number(_) => is_fine(key),
    };
    settings.len() <= SETTINGS_MAX && settings.iter().all(is_fine)
}

impl Aggregate for User {
    type Event = GameEvent;
    type Command = UserCommand;
    type Refusal = Refusal;

    fn new(stream: &StreamName) -> User {
        let id = PlayerId::of_stream(stream);
        let (notifications, ui) = (BTreeMap::new(), BTreeMap::new());
        User { id, guild: None, username: None, display_name: None, notifications, ui, last: Moment::default() }
    }

    fn decide(&self, command: &UserCommand) -> Result<Vec<GameEvent>, Refusal> {
        let user_id = self.id.ok_or(Refusal::InvalidStream)?;
        if Moment::MAX < command.at {
            return Err(Refusal::InvalidTime);
        }
        let at = command.at.max(self.last);
        match (&command.action, &self.username) {
            (UserAction::Register { guild, username, display_name }, None) => {
                check_name(username)?;
                display_name.as_deref().map_or(Ok(()), check_name)?;
                let (username, display_name) = (username.clone(), display_name.clone());
                Ok(vec![UserRegistered { user_id, guild_id: *guild, username, display_name, created_at: at }.into()])
            }
            (UserAction::Register { .. }, Some(_)) => Ok(Vec::new()),
            (_, None) => Err(Refusal::UserNotFound),
            (UserAction::UpdateProfile { display_name }, Some(_)) => {
                check_name(display_name)?;
                let event = UserProfileUpdated { user_id, display_name: display_name.clone(), updated_at: at };
                Ok(if self.display_name.as_ref() == Some(display_name) { Vec::new() } else { vec![event.into()] })
            }
            (UserAction::ChangePreferences { notifications, ui }, Some(_)) => {
                let has_room = |kept: &BTreeMap<_, _>, new: &BTreeMap<_, _>| {
                    kept.len() + new.keys().filter(|key| !kept.contains_key(*key)).count() <= SETTINGS_MAX
                };
                let have_room = has_room(&self.notifications, notifications) && has_room(&self.ui, ui);
                if !have_room || !are_fine(notifications) || !are_fine(ui) {
                    return Err(Refusal::TextTooLong);
                }
                let (notification_settings, ui_preferences) = (notifications.clone(), ui.clone());
                Ok(vec![
                    UserPreferencesChanged { user_id, notification_settings, ui_preferences, updated_at: at }.into(),
                ])
            }
        }
    }

    fn apply(&mut self, event: &GameEvent, _context: &EventContext<'_>) {
        // What is about somebody else is in a wrong stream, and changes nothing here.
        if event.players().first().copied() != self.id {
            return;
        }
        match event {
            GameEvent::UserRegistered(of) => {
                self.guild = Some(of.guild_id);
                self.username = Some(of.username.clone());
                self.display_name.clone_from(&of.display_name);
                self.last = self.last.max(of.created_at).min(Moment::MAX);
            }
            GameEvent::UserProfileUpdated(of) => {
                self.display_name = Some(of.display_name.clone());
                self.last = self.last.max(of.updated_at).min(Moment::MAX);
            }
            GameEvent::UserPreferencesChanged(of) => {
                self.notifications.extend(of.notification_settings.clone());
                self.ui.extend(of.ui_preferences.clone());
                self.last = self.last.max(of.updated_at).min(Moment::MAX);
            }
            _ => {}
        }
    }
}
