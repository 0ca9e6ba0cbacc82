mod hostile;
mod lexer;
mod table;
