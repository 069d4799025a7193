//! The columns that a `#Fields` directive of a W3C log names. They apply to the lines after it from
//! the same source. Unit: one directive.

/// Limit of columns; IIS has 30 fields.
pub(crate) const COLUMNS_MAX: usize = 32;

/// What a column contains, as far as it is read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Column {
    /// Something that is not read.
    #[default]
    Other,
    /// `date`.
    Date,
    /// `time`.
    Time,
    /// `cs-method`.
    Method,
    /// `cs-uri-stem`.
    Path,
    /// `c-ip`.
    Client,
    /// `cs(User-Agent)`.
    Agent,
    /// `sc-status`.
    Status,
    /// `time-taken`, in milliseconds.
    TimeTaken,
}

/// The columns of the last directive; empty before the first one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Columns {
    /// The columns in order.
    pub list: [Column; COLUMNS_MAX],
    /// How many there are.
    pub count: usize,
}

impl Columns {
    /// Reads the names after `#Fields:`. Returns `None` if there are too many.
    pub fn parse(names: &str) -> Option<Columns> {
        let mut columns = Columns::default();
        for name in names.split_ascii_whitespace() {
            *columns.list.get_mut(columns.count)? = match name {
                "date" => Column::Date,
                "time" => Column::Time,
                "cs-method" => Column::Method,
                "cs-uri-stem" => Column::Path,
                "c-ip" => Column::Client,
                "cs(User-Agent)" => Column::Agent,
                "sc-status" => Column::Status,
                "time-taken" => Column::TimeTaken,
                _ => Column::Other,
            };
            columns.count += 1;
        }
        Some(columns)
    }
}
