//! Reads a pickle as data (protocols 0 to 5; the opcodes are those of CPython's `pickletools`). An
//! opcode that would import, call or construct something in Python becomes an object with the name
//! of its class and its arguments; nothing is ever executed. Unit: one pickle.
//!
//! Values refer to the bytes of the pickle, and containers are kept and used again, so that a record
//! of a known size allocates nothing. A pickle is at most as long as a line may be; every value
//! takes at least one of its bytes, which bounds memory.

mod arguments;
pub(super) mod value;

use arguments::Arguments;
use value::{ITEMS_KEPT, Problem, Shape, Value, Values};

/// The stack machine.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// The containers of the last pickle.
    pub(crate) values: Values,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Value>,
}

impl Machine {
    /// Reads a pickle; returns its value.
    ///
    /// # Errors
    /// The bytes are not one whole pickle. [`Machine::begun`] returns what was read before.
    pub(crate) fn read(&mut self, pickle: &[u8]) -> Result<Value, Problem> {
        self.values.clear();
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        self.stack.shrink_to(ITEMS_KEPT);
        self.memo.shrink_to(ITEMS_KEPT);
        let mut arguments = Arguments::new(pickle);
        loop {
            let at = arguments.at;
            let opcode = arguments.byte()?;
            if opcode == b'.' {
                return self.pop(at);
            }
            self.step(opcode, at, &mut arguments)?;
        }
    }

    /// Returns the keys and values of the dictionary that a pickle began, and that it had not
    /// finished where it was cut.
    pub(crate) fn begun(&self) -> impl Iterator<Item = (Value, Value)> + '_ {
        let whole = match self.stack.first() {
            Some(Value::Container(number)) => self.values.container(*number).1,
            _ => &[],
        };
        let open = self.marks.first().map_or(self.stack.len().min(1), |mark| *mark);
        let all = [whole, self.stack.get(open..).unwrap_or_default()];
        all.into_iter().flat_map(|items| items.chunks_exact(2)).map(|pair| (pair[0], pair[1]))
    }

    #[inline]
    fn step(
        &mut self,
        opcode: u8,
        at: usize,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Problem> {
        let value = match opcode {
            b'X' => Value::Text(arguments.sized(4)?),
            b'q' => return self.put(arguments.number(1)?, at),
            b'h' => self.get(arguments.number(1)?, at)?,
            0x8c => Value::Text(arguments.sized(1)?),
            0x94 => return self.put(self.memo.len() as u64, at),
            b'N' => Value::None,
            b'K' => Value::Integer(arguments.number(1)? as i64),
            b'M' => Value::Integer(arguments.number(2)? as i64),
            b'J' => Value::Integer(i64::from(arguments.number(4)? as u32 as i32)),
            b'G' => Value::Float(f64::from_bits((arguments.number(8)?).swap_bytes())),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'}' => self.values.add(Shape::Dict, &[]),
            b']' => self.values.add(Shape::List, &[]),
            b')' => self.values.add(Shape::Tuple, &[]),
            b's' | b'u' | b'a' | b'e' | 0x90 => return self.extend(opcode, at),
            0x80 => return arguments.number(1).map(drop),
            0x95 => return arguments.number(8).map(drop),
            _ => return self.step_rare(opcode, at, arguments),
        };
        self.stack.push(value);
        Ok(())
    }

    fn step_rare(
        &mut self,
        opcode: u8,
        at: usize,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Problem> {
        let value = match opcode {
            0x88 | 0x89 => Value::Bool(opcode == 0x88),
            0x8d => Value::Text(arguments.sized(8)?),
            b'V' => Value::EscapedText(arguments.line()?),
            b'S' => Value::QuotedBytes(arguments.quoted()?),
            b'U' | b'C' => Value::Bytes(arguments.sized(1)?),
            b'T' | b'B' => Value::Bytes(arguments.sized(4)?),
            0x8e | 0x96 => Value::Bytes(arguments.sized(8)?),
            0x8a => Value::Long(arguments.sized(1)?),
            0x8b => Value::Long(arguments.sized(4)?),
            b'I' | b'L' => arguments.decimal(at)?,
            b'F' => Value::Float(arguments.float(at)?),
            b'r' => return self.put(arguments.number(4)?, at),
            b'j' => self.get(arguments.number(4)?, at)?,
            b'p' => return self.put(arguments.line_number(at)?, at),
            b'g' => self.get(arguments.line_number(at)?, at)?,
            b'l' => self.marked(Shape::List, at)?,
            b't' => self.marked(Shape::Tuple, at)?,
            b'd' => self.marked(Shape::Dict, at)?,
            0x91 => self.marked(Shape::Set, at)?,
            0x8f => self.values.add(Shape::Set, &[]),
            0x85..=0x87 => self.last(Shape::Tuple, usize::from(opcode - 0x84), at)?,
            b'0' | b'1' | b'2' => return self.rearrange(opcode, at),
            0x97 => Value::None,
            0x98 => return Ok(()),
            _ => self.object(opcode, at, arguments)?,
        };
        self.stack.push(value);
        Ok(())
    }

    /// Processes an opcode that imports, calls or constructs in Python.
    fn object(
        &mut self,
        opcode: u8,
        at: usize,
        arguments: &mut Arguments<'_>,
    ) -> Result<Value, Problem> {
        match opcode {
            b'c' => {
                let name = [Value::Text(arguments.line()?), Value::Text(arguments.line()?)];
                Ok(self.values.add(Shape::Global, &name))
            }
            0x93 => self.last(Shape::Global, 2, at),
            b'R' | 0x81 => self.last(Shape::Object, 2, at),
            0x92 => {
                // keyword arguments are shown as state
                self.last(Shape::Object, 3, at)
            }
            b'b' => {
                let state = self.pop(at)?;
                let object = self.pop(at)?;
                if let Some((Shape::Object, items)) = self.object_of(object) {
                    items.truncate(2);
                    items.push(state);
                }
                Ok(object)
            }
            b'i' | b'o' => {
                let class = if opcode == b'i' {
                    let name = [Value::Text(arguments.line()?), Value::Text(arguments.line()?)];
                    Some(self.values.add(Shape::Global, &name))
                } else {
                    None
                };
                let tuple = self.marked(Shape::Tuple, at)?;
                let class = match (class, self.object_of(tuple)) {
                    (Some(class), _) => class,
                    (None, Some((_, items))) if !items.is_empty() => items.remove(0),
                    (None, _) => return Err(Problem::Missing { at }),
                };
                Ok(self.values.add(Shape::Object, &[class, tuple]))
            }
            b'P' => {
                let id = [Value::Text(arguments.line()?)];
                Ok(self.values.add(Shape::Object, &id))
            }
            b'Q' => self.last(Shape::Object, 1, at),
            0x82..=0x84 => {
                let width = [1, 2, 4][usize::from(opcode - 0x82)];
                let code = Value::Integer(arguments.number(width)? as i64);
                Ok(self.values.add(Shape::Object, &[code]))
            }
            opcode => Err(Problem::Opcode { at, opcode }),
        }
    }

    fn pop(&mut self, at: usize) -> Result<Value, Problem> {
        self.stack.pop().ok_or(Problem::Missing { at })
    }

    fn rearrange(&mut self, opcode: u8, at: usize) -> Result<(), Problem> {
        match opcode {
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop(at)?),
            b'1' => {
                let mark = self.marks.pop().ok_or(Problem::Missing { at })?;
                self.stack.truncate(mark);
            }
            _ => {
                let top = *self.stack.last().ok_or(Problem::Missing { at })?;
                self.stack.push(top);
            }
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, index: u64, at: usize) -> Result<(), Problem> {
        let top = *self.stack.last().ok_or(Problem::Missing { at })?;
        let index = index as usize;
        if index < self.memo.len() {
            self.memo[index] = top;
        } else if index <= at {
            // a pickler numbers one after the other, and each takes a byte
            self.memo.resize(index, Value::None);
            self.memo.push(top);
        } else {
            return Err(Problem::Argument { at });
        }
        Ok(())
    }

    #[inline]
    fn get(&self, index: u64, at: usize) -> Result<Value, Problem> {
        self.memo.get(index as usize).copied().ok_or(Problem::Argument { at })
    }

    /// Makes a container of the values above the last mark.
    fn marked(&mut self, shape: Shape, at: usize) -> Result<Value, Problem> {
        let mark = self.marks.pop().ok_or(Problem::Missing { at })?;
        let items = self.stack.get(mark..).ok_or(Problem::Missing { at })?;
        let value = self.values.add(shape, items);
        self.stack.truncate(mark);
        Ok(value)
    }

    /// Makes a container of the last `count` values.
    fn last(&mut self, shape: Shape, count: usize, at: usize) -> Result<Value, Problem> {
        let from = self.stack.len().checked_sub(count).ok_or(Problem::Missing { at })?;
        let value = self.values.add(shape, &self.stack[from..]);
        self.stack.truncate(from);
        Ok(value)
    }

    fn object_of(&mut self, value: Value) -> Option<(Shape, &mut Vec<Value>)> {
        let Value::Container(number) = value else { return None };
        self.values.containers.get_mut(number as usize).map(|(shape, items)| (*shape, items))
    }

    /// Adds values to the container below them.
    fn extend(&mut self, opcode: u8, at: usize) -> Result<(), Problem> {
        let from = match opcode {
            b's' => self.stack.len().checked_sub(2),
            b'a' => self.stack.len().checked_sub(1),
            _ => self.marks.pop(),
        };
        let from = from.filter(|from| (1..=self.stack.len()).contains(from));
        let from = from.ok_or(Problem::Missing { at })?;
        let Value::Container(number) = self.stack[from - 1] else {
            return Err(Problem::Argument { at });
        };
        let is_pairs = matches!(opcode, b's' | b'u');
        let container = self.values.containers.get_mut(number as usize);
        let (shape, items) = container.ok_or(Problem::Argument { at })?;
        if *shape == Shape::Object {
            // the object moves into a container that begins with it
            let object = std::mem::take(items);
            let inner = self.values.add(Shape::Object, &object);
            let shape = if is_pairs { Shape::ObjectWithPairs } else { Shape::ObjectWithItems };
            self.values.containers[number as usize] = (shape, vec![inner]);
        } else if is_pairs != matches!(shape, Shape::Dict | Shape::ObjectWithPairs) {
            return Err(Problem::Argument { at });
        }
        self.values.containers[number as usize].1.extend_from_slice(&self.stack[from..]);
        self.stack.truncate(from);
        Ok(())
    }
}
